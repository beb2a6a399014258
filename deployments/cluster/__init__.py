"""Cordboard on several machines: what sets a cluster up, and the files for Docker Compose and Kubernetes."""
