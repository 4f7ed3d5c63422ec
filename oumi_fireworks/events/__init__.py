"""What happens in a run, told to whoever wants to know: a file, a person's phone, a collector."""
