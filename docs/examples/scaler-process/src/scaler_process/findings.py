"""What a check sees: what is missing here for the runners that the settings describe."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scaler import Finding
from scaler_process.starting import rlimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler_process.settings import ProfileConfig

_OWN_RUNNER = (".runner", ".credentials")  # what the runner's config.sh leaves


def findings(folder: Path, profiles: Mapping[str, ProfileConfig]) -> list[Finding]:
    """Everything that is seen; one that is well per profile and for the machine, or what is not."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        fix = "use another provisioner on this machine"
        return [Finding(ok=False, text="this is no Linux of 5.3 or newer", fix=fix)]
    found = [*_folder(folder)]
    for name, own in profiles.items():
        wrong = [*_user(own, folder), *_source(own), *_command(own), *_limits(own)]
        found += [
            Finding(ok=False, text=f"profile {name}: {text}", fix=fix, need=need)
            for need, text, fix in wrong
        ] or [Finding(ok=True, text=f"profile {name}: {own.command[0]} can be run")]
    return found


def _folder(folder: Path) -> Iterator[Finding]:
    place = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not place.is_dir():
        fix = "name another by plugins.process.folder"
        yield Finding(ok=False, text=f"{place} is no folder", fix=fix)
    elif not os.access(place, os.W_OK | os.X_OK):
        fix = f"give it to the user that scaler runs as ({_name(os.geteuid())})"
        yield Finding(ok=False, text=f"the folder {place} cannot be written to", fix=fix)
    else:
        yield Finding(ok=True, text=f"runners get folders in {folder}")


Need = Literal["required", "useful"]
Wrong = tuple[Need, str, str]


def _user(own: ProfileConfig, folder: Path) -> Iterator[Wrong]:
    if not own.user:
        if os.geteuid() == 0:
            yield "useful", "its jobs run as root", "name a user for them by user"
        return
    try:
        entry = pwd.getpwnam(own.user)
    except KeyError:
        yield "required", f"there is no user {own.user}", f"useradd --system {own.user}"
        return
    if os.geteuid() not in (0, entry.pw_uid):
        yield "required", f"only root can run jobs as {own.user}", "leave user out"
    for place in (folder, *folder.parents):
        if place.exists() and not _may_enter(place, entry):
            fix = f"chmod o+x {place}, or name another folder by plugins.process.folder"
            yield "required", f"{own.user} may not enter {place}", fix


def _may_enter(place: Path, entry: pwd.struct_passwd) -> bool:
    seen = place.stat()
    if seen.st_uid == entry.pw_uid:
        return bool(seen.st_mode & 0o100)
    if seen.st_gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        return bool(seen.st_mode & 0o010)
    return bool(seen.st_mode & 0o001)


def _source(own: ProfileConfig) -> Iterator[Wrong]:
    if own.runner_dir is None:
        return
    if not (own.runner_dir.is_dir() and os.access(own.runner_dir, os.R_OK | os.X_OK)):
        fix = "unpack the runner there, readable for its user"
        yield "required", f"{own.runner_dir} is no folder that can be read", fix
        return
    if shutil.which("cp", path=own.path) is None:
        yield "required", f"there is no cp in {own.path}", "name its folder in path"
    for name in _OWN_RUNNER:
        if (own.runner_dir / name).exists():
            fix = "unpack the runner anew, and do not run its config.sh: every job gets a copy"
            yield "required", f"{own.runner_dir} holds another runner's {name}", fix


def _command(own: ProfileConfig) -> Iterator[Wrong]:
    program = own.command[0]
    fix = "set runner_dir to where the runner is unpacked, or command to what is to be run"
    if "/" not in program:
        if shutil.which(program, path=own.path) is None:
            yield "required", f"{program} is not in {own.path}", "install it, or set path"
    elif own.runner_dir is None and not program.startswith("/"):
        yield "required", f"{program} is to be run in a folder that nothing fills", fix
    elif not os.access(place := Path(own.runner_dir or "/", program), os.X_OK):
        yield "required", f"{place} is no program", fix
    as_root = os.geteuid() == 0 and not own.user
    if as_root and program == "./run.sh" and "RUNNER_ALLOW_RUNASROOT" not in own.environment:
        fix = 'name a user, or set environment = { RUNNER_ALLOW_RUNASROOT = "1" }'
        yield "required", "the official runner refuses to run as root", fix


def _limits(own: ProfileConfig) -> Iterator[Wrong]:
    for kind, value in rlimits(own.limits).items():
        _, hard = resource.getrlimit(getattr(resource, kind))
        if os.geteuid() != 0 and hard != resource.RLIM_INFINITY and value > hard:
            fix = f"ask for {hard} or less, or raise scaler's own limit"
            yield "required", f"the limit {kind} cannot be {value}: it is {hard} here", fix
    if own.limits.processes is not None and os.geteuid() == 0 and not own.user:
        yield "useful", "nothing keeps root within limits.processes", "name a user"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
