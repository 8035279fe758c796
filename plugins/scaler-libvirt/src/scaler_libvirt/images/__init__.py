"""Base images: built on a hypervisor, tried there, kept fresh, and taken back where bad."""
