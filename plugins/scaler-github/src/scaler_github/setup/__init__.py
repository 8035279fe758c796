"""Set-up checks: what is needed of GitHub, what is there, and how to mend what is not."""

from scaler_github.setup.check import check

__all__ = ["check"]
