"""See the images that profiles are built, have one built anew, or go back to the one before."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import secrets
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scaler import FatalError, load_settings, printable
from scaler_libvirt.images.requests import Box, Wish
from scaler_libvirt.plugin import Libvirt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scaler_libvirt.images.requests import Action, Answer

PATIENCE = 10.0  # seconds to wait for an answer; a scaler that runs looks every 2 s
LOOK = 0.1
HERE = "scaler.toml"
SYSTEM = "/etc/scaler/scaler.toml"
_HEADS = ("HOST", "PROFILE", "OLDER", "IMAGE")
_GAP = 2
_NARROWEST = 24


def command(argv: list[str]) -> int:
    """Do it; answer the exit code."""
    args = _parser().parse_args(list(map(printable, argv)))
    place = _Place(args.config or (SYSTEM if _there(SYSTEM) and not _there(HERE) else HERE))
    try:
        if args.action in (None, "list"):
            return _list(place, args)
        return _wish(place, args)
    except OSError as error:  # told in one line, with its cure: a traceback helps nobody here
        raise FatalError(
            f"{error.filename or place.folder}: {error.strerror or error}; run this as the user"
            " that scaler runs as, or as root"
        ) from None


def _there(path: str) -> bool:
    return os.path.lexists(path)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-c",
        "--config",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"settings ({HERE} here, else {SYSTEM})",
    )
    common.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="JSON, for programs"
    )
    common.add_argument(
        "--host", default=argparse.SUPPRESS, help="on this host alone, rather than on every one"
    )
    parser = argparse.ArgumentParser(prog="scaler images", description=__doc__, parents=[common])
    parser.set_defaults(config=None, json=False, host="", action=None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    actions.add_parser("list", parents=[common], help="what there is on which host (the default)")
    rebuild = actions.add_parser(
        "rebuild",
        parents=[common],
        help="build another image beside the live one, as soon as there is room",
    )
    back = actions.add_parser(
        "back",
        parents=[common],
        help="use the image before this one, until another is asked for with rebuild",
    )
    for each in (rebuild, back):
        each.add_argument("profile", metavar="PROFILE")
    return parser


class _Place:
    """Which scaler, and what of it is built."""

    def __init__(self, config: str) -> None:
        settings, loaded = load_settings(config, environ=_Anything())
        names = [name for name, plugin in loaded.items() if issubclass(plugin.cls, Libvirt)]
        if not names:
            raise FatalError(f"{config}: there is no [plugins.libvirt], so no images are built")
        name = names[0]
        self.hosts = [host.name for host in settings.plugins[name].hosts]
        self.profiles = [key for key, own in settings.own[name].items() if own.source_image]
        if not self.profiles:
            raise FatalError(
                f"{config}: no profile has images that are built: give one a source_image in"
                " [profiles.NAME.libvirt]"
            )
        self.folder: Path = settings.state_dir / "plugins" / name / "images"
        self.box = Box(self.folder)

    def known(self) -> None:
        """See that there is something to talk with.

        Raises:
            FatalError: Such a scaler has never run here.
        """
        try:
            os.stat(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            raise FatalError(
                f"there is no {self.folder}: no scaler with these settings has run yet. Start it:"
                " it builds the first images by itself"
            ) from None

    def status(self) -> dict[str, Any]:
        """How everything was when that changed last.

        Raises:
            FatalError: It cannot be told.
        """
        try:
            raw = self.box.status()
        except ValueError as error:
            raise FatalError(
                f"{self.folder}/status.json is damaged ({error}); a scaler that starts writes it"
                " anew"
            ) from None
        if raw is None:
            return {"images": []}
        if not isinstance(raw, dict) or not isinstance(raw.get("images"), list):
            raise FatalError(f"{self.folder}/status.json is not what scaler writes; start it anew")
        return raw


class _Anything(Mapping[str, str]):
    """The environment, where secrets need not be: nothing here needs them."""

    def __getitem__(self, name: str) -> str:
        return os.environ.get(name) or "not needed here"

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


def _list(place: _Place, args: argparse.Namespace) -> int:
    _see_one_of("host", args.host, place.hosts)
    place.known()
    status, runs = place.status(), place.box.served()
    rows = [
        row
        for row in status["images"]
        if isinstance(row, dict) and args.host in ("", row.get("host"))
    ]
    if args.json:
        _say(json.dumps({"running": runs, "time": status.get("time"), "images": rows}, indent=2))
        return 0
    if not runs:
        _say(f"scaler does not run; this is how it was {_when(status.get('time'))}")
    shown = [[str(row.get(key, "")) for key in ("host", "profile")] + _cells(row) for row in rows]
    _say(*_table([list(_HEADS), *shown]))
    return 0


def _cells(row: Mapping[str, Any]) -> list[str]:
    older = row.get("older")
    numbers = (
        [str(each.get("number", "")) for each in older or () if isinstance(each, dict)]
        if isinstance(older, list)
        else []
    )
    return [", ".join(numbers) or "-", str(row.get("text", ""))]


def _when(moment: Any) -> str:
    try:
        return time.strftime("at %Y-%m-%d %H:%M", time.localtime(float(moment)))
    except (TypeError, ValueError, OverflowError, OSError):
        # the file may be damaged: what it says of the images is worth telling all the same
        return "at some time"


def _wish(place: _Place, args: argparse.Namespace) -> int:
    action: Action = args.action
    _see_one_of("profile with images that are built", args.profile, place.profiles)
    _see_one_of("host", args.host, place.hosts)
    place.known()
    wish = Wish(id=secrets.token_hex(16), action=action, profile=args.profile, host=args.host)
    runs = place.box.served()
    if not runs and action == "back":
        _see_older(place, wish)
    place.box.put(wish)
    answer = _wait(place, wish) if runs else None
    if answer is not None:
        ok, lines = answer.ok, list(answer.lines)
    elif runs:
        ok = False
        lines = [f"scaler has not answered within {PATIENCE:g} s: see its log. It is still asked"]
    else:
        ok, lines = True, ["scaler does not run: this is kept, and done when it starts"]
    if args.json:
        _say(json.dumps({"running": runs, "ok": ok, "lines": lines}, indent=2))
    elif ok:
        _say(*lines)
    else:
        raise FatalError("\n".join(lines))
    return 0 if ok else 1


def _see_one_of(what: str, found: str, known: Sequence[str]) -> None:
    """See that a name is known, or (empty) was not given.

    Raises:
        FatalError: It is not.
    """
    if found and found not in known:
        close = difflib.get_close_matches(found, known, n=1)
        hint = f' (did you mean "{close[0]}"?)' if close else ""
        raise FatalError(f'found "{found}", wanted a {what}: {", ".join(known)}{hint}')


def _see_older(place: _Place, wish: Wish) -> None:
    """Nobody would see later that there was none.

    Raises:
        FatalError: There is no older image, as far as is known.
    """
    rows = [
        row
        for row in place.status()["images"]
        if isinstance(row, dict)
        and row.get("profile") == wish.profile
        and wish.host in ("", row.get("host"))
    ]
    if not any(row.get("older") for row in rows):
        raise FatalError(f"there is no older image of {wish.profile} to go back to")


def _wait(place: _Place, wish: Wish) -> Answer | None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = place.box.answer(wish)
        if answer is not None:
            return answer
        time.sleep(LOOK)
    return None


def _say(*lines: str) -> None:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        raise  # whoever read has enough (`| head`): `scaler` ends quietly then
    except OSError as error:
        raise FatalError(f"the output cannot be written: {error.strerror}") from None


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; on a terminal the last is folded to fit."""
    safe = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    before = sum(widths[:-1]) + _GAP * (len(widths) - 1)
    room = 10_000
    if sys.stdout.isatty():
        room = max(shutil.get_terminal_size().columns - before, _NARROWEST)
    lines = []
    for *cells, last in safe:
        start = "".join(
            f"{cell:<{width + _GAP}}" for cell, width in zip(cells, widths, strict=False)
        )
        first, *more = textwrap.wrap(last, room, break_on_hyphens=False) or [""]
        lines += [(start + first).rstrip(), *(" " * before + line for line in more)]
    return lines
