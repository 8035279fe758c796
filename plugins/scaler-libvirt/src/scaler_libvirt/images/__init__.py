"""Base images: built on a hypervisor, tried there, kept fresh, and taken back where bad."""

from scaler_libvirt.images.service import Images

__all__ = ["Images"]
