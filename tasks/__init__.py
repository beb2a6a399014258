"""Prefect tasks: each wraps one vendor call, or one slice of many."""
