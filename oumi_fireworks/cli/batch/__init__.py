"""``oumi-fireworks batch``: batches from the command line, a module for each verb."""
