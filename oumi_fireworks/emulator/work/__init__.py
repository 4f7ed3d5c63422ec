"""The work: running the rows of jobs, and where jobs and datasets stand meanwhile."""
