"""From a profile's settings to a keeper that has begun."""

from __future__ import annotations

import os
import pwd
import signal
import sys
from typing import TYPE_CHECKING

from scaler_process.files import FILES, SCRATCH
from scaler_process.order import Order, User
from scaler_process.proc import TAG

if TYPE_CHECKING:
    from scaler_process.folders import Folder
    from scaler_process.settings import Limits, ProfileConfig

_KINDS = {
    "memory": "RLIMIT_DATA",
    "cpu_time": "RLIMIT_CPU",
    "processes": "RLIMIT_NPROC",
    "open_files": "RLIMIT_NOFILE",
    "file_size": "RLIMIT_FSIZE",
}


def rlimits(limits: Limits) -> dict[str, int]:
    """The limits that are set, by the kernel's names."""
    values = {kind: getattr(limits, name) for name, kind in _KINDS.items()}
    return {kind: int(value) for kind, value in values.items() if value is not None}


def order(own: ProfileConfig, folder: Folder, config: str) -> Order:
    """What the keeper of a runner is told.

    Raises:
        KeyError: There is no such user.
    """
    files = folder.path / FILES
    environment = {
        "PATH": own.path,
        "LANG": "C.UTF-8",
        **own.environment,
        "HOME": str(files),
        "TMPDIR": str(folder.path / SCRATCH),
        TAG: folder.tag,
    }
    user = None
    if own.user:
        entry = pwd.getpwnam(own.user)
        if entry.pw_uid != os.geteuid():
            groups = tuple(os.getgrouplist(own.user, entry.pw_gid))
            user = User(uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)
        environment |= {"USER": own.user, "LOGNAME": own.user}
    return Order(
        tag=folder.tag,
        command=own.command,
        environment=environment,
        variable=own.config_variable,
        secret=config,
        source=str(own.runner_dir or ""),
        user=user,
        limits=rlimits(own.limits),
        nice=own.nice,
    )


def spawn(folder: Folder, told: Order) -> tuple[int, int]:
    """Start a keeper, which from the first moment carries the tag.

    posix_spawn runs no code of ours between fork and exec, so that it does not matter that this
    process has threads. The order goes by a file in memory, and so is complete before there is
    anybody to read it: no command line, environment or disk ever holds the secret.

    Returns:
        The keeper's pid, and where it says whether it has begun: to be read, then closed.
    """
    hears, says = os.pipe()
    try:
        with os.fdopen(os.memfd_create("order"), "w+b") as file:
            file.write(told.write())
            file.seek(0)
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-m", "scaler_process.keeper", str(folder.path)],
                {TAG: folder.tag},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, file.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, says, 1),
                    (os.POSIX_SPAWN_DUP2, says, 2),
                ],
                setsid=True,  # Ctrl-C is meant for scaler, not for its runners
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT),
            )
    except BaseException:
        os.close(hears)
        raise
    finally:
        os.close(says)
    return pid, hears
