"""Listening, connections, encryption, and who it is that asks."""
