"""A machine's seed: a small CD that cloud-init (NoCloud) and other guests find by its label.

What is secret lies in files of their own that only root in the guest can read, and nowhere else:
cloud-init keeps user-data and shows it to whoever asks.
"""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

import pycdlib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_libvirt.machine.identity import Role

LABEL = "cidata"
_SCRIPT = files("scaler_libvirt.machine").joinpath("scripts/cloud.sh").read_text()
_WHERE = "/usr/local/sbin/scaler-guest"
_ROOTS = 0o100400  # a file that root reads and nobody else


class SeedError(ValueError):
    """What was to stand in a seed cannot; the text never shows a secret."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What a machine is told.

    Attributes:
        uuid: The machine's: a guest that sees another one than at its last start knows that it
            is a copy, and makes itself ready anew.
        name: What the guest calls itself: the domain's name.
        role: What it is for.
        profile: Of which profile.
        runner: The runner's id; None for a machine that makes or tries an image.
        url: Where the guest door is; empty where the guest needs none.
        key: What it is known by there; empty where it is known by its address.
        nonce: What it says beside "built" or "ok", so that nobody else can have said it.
        hold: Whether it stays when its boot script ended, for a person to look at.
        user_data: The site's own, in place of the built-in one.
        config: The registration's config, where it is delivered so.
        boot: The boot script, where it is delivered so.
    """

    uuid: str
    name: str
    role: Role = "runner"
    profile: str = ""
    runner: int | None = None
    url: str = ""
    key: str = field(default="", repr=False)
    nonce: str = field(default="", repr=False)
    hold: bool = False
    user_data: bytes | None = field(default=None, repr=False)
    config: str | None = field(default=None, repr=False)
    boot: str | None = field(default=None, repr=False)


def make_seed(seed: Seed) -> bytes:
    """The seed as an ISO 9660 file system.

    Raises:
        SeedError: A value has a line break or another control character.
    """
    return _iso(contents(seed))


def contents(seed: Seed) -> dict[str, bytes]:
    """The seed's files by name."""
    found = {
        "meta-data": _yaml({"instance-id": seed.uuid, "local-hostname": seed.name}),
        "user-data": _user_data() if seed.user_data is None else seed.user_data,
        "scaler.env": _env(seed),
    }
    if seed.config is not None:
        found["jitconfig"] = seed.config.encode()
    if seed.boot is not None:
        found["boot"] = seed.boot.encode()
    return found


def _user_data() -> bytes:
    script = {"path": _WHERE, "permissions": "0700", "owner": "root:root", "content": _SCRIPT}
    return b"#cloud-config\n" + _yaml({"write_files": [script], "runcmd": [[_WHERE]]})


def _yaml(value: object) -> bytes:
    """JSON is YAML, and its writer gets every text right."""
    return json.dumps(value, ensure_ascii=True, indent=1).encode() + b"\n"


def _env(seed: Seed) -> bytes:
    values = {
        "SCALER_URL": seed.url.rstrip("/"),
        "SCALER_KEY": seed.key,
        "SCALER_ROLE": seed.role,
        "SCALER_HOLD": "1" if seed.hold else "",
        "SCALER_PROFILE": seed.profile,
        "SCALER_RUNNER": "" if seed.runner is None else str(seed.runner),
        "SCALER_NONCE": seed.nonce,
    }
    for name, value in values.items():
        if not value.isprintable():
            raise SeedError(f"{name} has a line break or another control character")
    # nothing is quoted that need not be: a minimal guest's init reads these lines by itself
    quoted = {name: shlex.quote(value) if value else "" for name, value in values.items()}
    return "".join(f"{name}={value}\n" for name, value in quoted.items()).encode()


def _iso(content: Mapping[str, bytes]) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        for number, (name, data) in enumerate(content.items()):
            iso.add_fp(
                io.BytesIO(data),
                len(data),
                f"/FILE{number}.;1",
                rr_name=name,
                joliet_path=f"/{name}",
                file_mode=_ROOTS,
            )
        made = io.BytesIO()
        iso.write_fp(made)
    finally:
        iso.close()
    return made.getvalue()
