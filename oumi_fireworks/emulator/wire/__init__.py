"""The wire: errors, names, messages, filters, lists and signatures of the service."""
