"""Starts instances of a workflow: one, or every row of a batch, each once."""
