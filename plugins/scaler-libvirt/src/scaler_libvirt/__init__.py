"""libvirt for scaler: a fresh domain for every job."""
