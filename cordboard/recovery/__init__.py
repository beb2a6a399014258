"""What is left after something went wrong: what is open, waiting or unknown, and how a person or a flow goes on."""
