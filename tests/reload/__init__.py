"""Settings that are read anew while scaler runs."""
