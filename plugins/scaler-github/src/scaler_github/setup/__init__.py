"""Set-up checks: what is needed of GitHub, what is there, and how to mend what is not."""

from scaler_github.setup.artifacts import artifacts
from scaler_github.setup.check import check
from scaler_github.setup.queue import ScaleSets
from scaler_github.setup.scalesets import Wanted

__all__ = ["ScaleSets", "Wanted", "artifacts", "check"]
