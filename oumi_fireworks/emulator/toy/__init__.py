"""The toy model, which answers when no other server is asked to."""
