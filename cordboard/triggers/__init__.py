"""Starts of workflow instances: the file that says how, the rows of a batch, and what is wrong with either."""
