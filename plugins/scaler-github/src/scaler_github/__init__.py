"""GitHub for scaler: the Actions message queue as a source of jobs, and a simulator of GitHub."""
