"""The plugin `artifact-select`: runners for whoever a workflow run vouches for, by an artifact."""

from scaler_github.selecting.plugin import ArtifactSelect

__all__ = ["ArtifactSelect"]
