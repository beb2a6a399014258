"""Prefect blocks: credentials and webhook secrets, each a recipe for a client."""
