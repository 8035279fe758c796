"""Hypervisors: connections, and what is done through them."""
