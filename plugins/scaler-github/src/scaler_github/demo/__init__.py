"""`scaler demo`: a simulator of GitHub, a scaler and libvirt's test driver, all in one process."""

from scaler_github.demo.command import command

__all__ = ["command"]
