"""Registering call flows: what it would change, the plan that was looked at, and the request that is sent once."""
