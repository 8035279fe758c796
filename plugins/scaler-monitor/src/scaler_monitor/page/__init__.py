"""What people look at, and the same as data."""
