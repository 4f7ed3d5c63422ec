"""What goes wrong on request: faults of calls, and weather that shows things late."""
