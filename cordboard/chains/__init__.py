"""Chains of data actions: the file's model, its checks, its plan, and the binding of templates."""
