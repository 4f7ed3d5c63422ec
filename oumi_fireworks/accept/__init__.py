"""Whether an answer holds, and how it is asked for again. Knows nothing of Oumi."""
