"""The command line. Nothing is imported here, so that `scaler --help` is quick."""
