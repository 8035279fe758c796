"""Runners as processes of this machine. Nothing is imported here: every keeper is started by it."""
