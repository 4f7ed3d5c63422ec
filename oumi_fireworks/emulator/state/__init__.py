"""The state: records of datasets and jobs, on disk and over time."""
