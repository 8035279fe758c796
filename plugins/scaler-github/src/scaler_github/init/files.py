"""Files to disk: whole or not at all, for their owner alone, and nobody's place is taken."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from scaler import FatalError
from scaler_github.init.building import BOOT_SCRIPT


def boot_script() -> str:
    """The boot script for cloud images, as docs/examples/guests has it."""
    return files("scaler_github.init").joinpath("guest", BOOT_SCRIPT).read_text(encoding="utf-8")


def check_free(target: Path, *, force: bool) -> None:
    """See that the settings can be written, before anything is asked.

    Raises:
        FatalError: There is something already, or there is no such folder.
    """
    if not target.parent.is_dir():
        raise FatalError(f"there is no folder {target.parent}: make it, or name another file by -o")
    if not os.path.lexists(target):
        return
    if not force:
        raise FatalError(
            f"{target} is there already and stays as it is: name another file by -o, or have it "
            f"kept as {target.name}.bak-… by --force"
        )
    if target.is_symlink() or not target.is_file():
        raise FatalError(
            f"{target} is no plain file, and is not replaced: name the file itself by -o"
        )


def write(target: Path, text: str, *, force: bool) -> Path | None:
    """Write the settings; answer what the file that was there is called now, if there was one.

    Raises:
        FatalError: There is something already, or it cannot be written; nothing is left then.
    """
    try:
        return _write(target, text, force=force)
    except FileExistsError:
        raise FatalError(f"{target} is there already and stays as it is") from None
    except OSError as error:
        raise FatalError(f"{target} cannot be written: {error.strerror}") from None


def _write(target: Path, text: str, *, force: bool) -> Path | None:
    with _draft(target, text, 0o600) as draft:
        if force and os.path.lexists(target):
            kept = _keep(target)
            os.replace(draft, target)
            return kept
        os.link(draft, target)  # unlike a renaming, it takes nobody's place
    return None


@contextlib.contextmanager
def boot_script_in(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Write the boot script into a folder, unless one is there: somebody may have changed it.

    One that was made goes again if the block fails.

    Raises:
        FatalError: It cannot be written.

    Yields:
        Where it is, and whether what is there is another than ours.
    """
    target, text = folder / BOOT_SCRIPT, boot_script()
    made = False
    try:
        try:
            with _draft(target, text, 0o644) as draft, contextlib.suppress(FileExistsError):
                os.link(draft, target)
                made = True
            other = target.read_bytes() != text.encode()
        except OSError as error:
            raise FatalError(f"{target} cannot be written: {error.strerror}") from None
        yield target, other
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                target.unlink()
        raise


def _keep(target: Path) -> Path:
    """Give the file that is there a second name, which was free."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1000):
        kept = target.with_name(f"{target.name}.bak-{stamp}{f'-{number}' if number else ''}")
        with contextlib.suppress(FileExistsError):
            os.link(target, kept)
            return kept
    raise FatalError(f"{target} cannot be kept: every name beside it is taken")


@contextlib.contextmanager
def _draft(target: Path, text: str, mode: int) -> Iterator[str]:
    """The text in a file beside the target, which goes in the end unless it was renamed."""
    number, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)  # O_EXCL, 0600
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(number, mode)
            os.fsync(number)
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
