"""What people see while something runs: words, numbers, progress, log lines above it."""
