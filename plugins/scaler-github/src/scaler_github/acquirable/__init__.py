"""The plugin `acquirable-jobs`: looks at GitHub for what the queue did not tell."""

from scaler_github.acquirable.plugin import AcquirableJobs

__all__ = ["AcquirableJobs"]
