"""The first hour: an example repository of a customer, and the completion of a shell."""
