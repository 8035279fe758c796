"""The control socket: how a person, and the command line, speak to a scaler that runs."""
