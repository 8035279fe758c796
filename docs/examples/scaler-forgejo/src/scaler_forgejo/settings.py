"""What a site writes in its TOML. The loader checks the types and reads the token."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scaler import Duration, Secret

_URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?")
_SCOPE = re.compile(r"admin|user|orgs/[\w.-]+|repos/[\w.-]+/[\w.-]+")
_LABEL = re.compile(r"[^:,\s]+")
_LEAST = Duration(1)
_INTERVAL = Duration(10)


@dataclass(frozen=True)
class Config:
    """`[plugins.forgejo]`.

    Attributes:
        url: Where Forgejo is, such as `https://codeberg.org`.
        token: An access token. It needs the right to write where `scope` points: `write:admin`,
            `write:organization`, `write:repository` or `write:user`.
        scope: Whose jobs are run: `admin` (the whole instance), `orgs/NAME`, `repos/OWNER/NAME` or
            `user`. It is the part of the API's addresses that stands before `/actions/runners`.
        interval: How often jobs and runners are asked for.
    """

    url: str
    token: Secret
    scope: str = "admin"
    interval: Duration = _INTERVAL

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything runs: each error names its key."""
        if "@" in self.url:
            raise ValueError("url: found a name or a password in it, wanted neither: see token")
        if not _URL.fullmatch(self.url):
            raise ValueError(f"url: found {self.url!r}, wanted one such as https://codeberg.org")
        if not _SCOPE.fullmatch(self.scope):
            wanted = "admin, user, orgs/NAME or repos/OWNER/NAME"
            raise ValueError(f"scope: found {self.scope!r}, wanted {wanted}")
        if self.interval < _LEAST:
            raise ValueError(f"interval: found {self.interval}, wanted {_LEAST} or more")


@dataclass(frozen=True)
class ProfileConfig:
    """`[profiles.X.forgejo]`.

    Attributes:
        labels: What a job's `runs-on` may ask of this profile. Left out: the profile's own
            `labels`, or else its name.
        backend: How a runner runs its jobs: `host`, `docker://IMAGE` or `lxc://…`. The machine is
            there for one job alone, so that `host` is good for most.
    """

    labels: tuple[str, ...] = ()
    backend: str = "host"


def labels_of(profile: str, own: ProfileConfig, general: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that a profile serves.

    Raises:
        ValueError: Forgejo could not tell one of them from what stands beside it: `:` parts a
            label from its backend (https://forgejo.org/docs/next/admin/actions/configuration/),
            and `,` parts labels in a request.
    """
    labels = own.labels or general or (profile,)
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"profiles.{profile}.forgejo.labels: found {label!r}, wanted labels without "
                "colons, commas and spaces"
            )
    return labels
