"""Prefect flows: one deployable job a file; `python -m flows` runs them by hand."""
