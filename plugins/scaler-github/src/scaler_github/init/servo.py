"""`--from-servo`: the monitor.toml of servo/ci-runners."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scaler import FatalError, printable
from scaler_github.init import checks
from scaler_github.init.collecting import Preset
from scaler_github.init.document import Note
from scaler_github.init.manual import PROFILE, KeyPath
from scaler_github.init.secrecy import hidden, looks_secret
from scaler_github.init.servo_reasons import REASONS, UNKNOWN
from scaler_github.init.translation import Reading, Translation, shown

_LARGEST = 256 * 1024
_PORT = 8000  # that monitor has no other
_MEMORY = re.compile(r"(\d{1,15}) ?([BKMGTP])", re.ASCII)
_LONGEST = 10**9  # seconds
_HEAD = (
    "Made from {name} of a monitor of servo/ci-runners. Its runners are registered one by one and "
    "reserved by workflows, as there. What had no counterpart is listed at the end.",
    "Two scalers, and a scaler and a monitor, must not share a name: each takes what ends in @NAME "
    "for its own. As long as that monitor runs on this host, both also count on its memory and its "
    "port {port} for themselves alone: docs/how-to/move-from-servo.md says how to go on.",
)


def translate(path: Path, checkout: Path | None) -> Translation:
    """Read it.

    Args:
        path: The file.
        checkout: Where the files of its profiles are; only those that are there are named.

    Raises:
        FatalError: It cannot be read, or is no such file; or there are no profiles in the checkout.
    """
    if checkout is not None and not (checkout / "profiles").is_dir():
        raise FatalError(
            f"--servo-checkout {printable(str(checkout))}: found no folder `profiles` in it, "
            "wanted the checkout of servo/ci-runners that the monitor runs from"
        )
    reading = Reading(_load(path), printable(path.name))
    made = Translation()
    made.document.head = [each.format(name=printable(path.name), port=_PORT) for each in _HEAD]
    notes: list[Note] = []
    _github(reading, made)
    _hosts(reading, made)
    _monitor(reading, made, notes)
    _select(reading, made)
    for key in reading.children("profiles"):
        _profile(reading, made, key, checkout, notes)
    if not made.profiles:
        raise FatalError(f"{path}: found no [profiles.…], which a monitor.toml has")
    for setting in ("monitor_start_timeout", "monitor_reserve_timeout", "base_image_max_age"):
        reading.take(setting) if _seconds(reading, setting) else None
    made.document.notes = [*notes, *reading.rest(REASONS, UNKNOWN)]
    return made


def _load(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FatalError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise FatalError(f"{path}: is larger than {_LARGEST // 1024} KiB, which no monitor.toml is")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FatalError(f"{path}: is not text in UTF-8: {error.reason}") from None
    except ValueError as error:
        raise FatalError(f"{path}: is not TOML: {printable(hidden(str(error)))}") from None
    except RecursionError:
        raise FatalError(f"{path}: is nested too deeply") from None


def _github(reading: Reading, made: Translation) -> None:
    made.presets["token_env"] = Preset("GITHUB_TOKEN", "GITHUB_TOKEN in its .env", written=False)
    if reading.get("github_api_is_forgejo") is not True:
        for key, reader in (("github_api_scope_url", _scope_url), ("github_api_scope", _scope)):
            found = reading.get(key)
            if isinstance(found, str) and (url := reader(found)) and reading.text(key):
                made.presets["url"] = Preset(url, reading.origin(key))
                break
        if reading.get("github_api_is_forgejo") is False:
            reading.take("github_api_is_forgejo")
    if suffix := reading.text("github_api_suffix"):
        name = _named(suffix, "-scaler")
        made.presets["name"] = Preset(
            name, f"{reading.origin('github_api_suffix')}, and a name of its own: both may run"
        )
    if seconds := _seconds(reading, "api_cache_timeout"):
        where = ("plugins", "github", "api_cache_timeout")
        made.document.put(where, seconds, reading.origin("api_cache_timeout"))
        reading.take("api_cache_timeout")


def _scope_url(text: str) -> str:
    """`https://api.github.com/orgs/acme` as a browser has it; empty where it is nothing of it."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return ""
    path = parts.path.rstrip("/")
    if host == "api.github.com":
        host = "github.com"
    elif host.startswith("api.") and host.endswith(".ghe.com"):
        host = host.removeprefix("api.")
    elif path.startswith("/api/v3/"):
        path = path.removeprefix("/api/v3")
    else:
        return ""
    return _scope(path, f"https://{host}")


def _scope(text: str, host: str = "https://github.com") -> str:
    match [part for part in text.split("/") if part]:
        case ["repos", owner, repo]:
            return f"{host}/{owner}/{repo}"
        case ["orgs", org]:
            return f"{host}/{org}"
        case ["enterprises", name]:
            return f"{host}/enterprises/{name}"
    return ""


def _hosts(reading: Reading, made: Translation) -> None:
    made.presets["machines"] = Preset("libvirt", "libvirt, which it uses, too", written=False)
    parts, origins = ["qemu:///system", "vcpus=none"], []
    if memory := _memory(reading.get("available_normal_memory")):
        parts.append(f"memory={memory}")
        origins.append(reading.origin("available_normal_memory"))
        reading.take("available_normal_memory")
    else:
        parts.append("memory=none")
    if (pages := _count(reading.get("available_1g_hugepages"))) is not None:
        parts.append(f"hugepages_1g={pages}")
        origins.append(reading.origin("available_1g_hugepages"))
        reading.take("available_1g_hugepages")
    origin = " and ".join(origins) or "LIBVIRT_DEFAULT_URI in its .env"
    made.presets["hosts"] = Preset(",".join([*parts, "network=cinet"]), origin, bool(origins))


def _monitor(reading: Reading, made: Translation, notes: list[Note]) -> None:
    people, guests = list[str](), list[str]()
    for number in reading.children("listen_on"):
        found = reading.get("listen_on", number)
        try:
            address = ipaddress.ip_address(found if isinstance(found, str) else "")
        except ValueError:
            continue
        reading.take("listen_on", number)
        host = f"[{address}]" if address.version == 6 else str(address)
        inside = address.is_private and not address.is_loopback and not address.is_unspecified
        (guests if inside else people).append(f"{host}:{_PORT}")
    told = f"{reading.origin('listen_on')}, with that monitor's port"
    fallback = f"127.0.0.1:{_PORT}"
    made.presets["listen"] = Preset(",".join(people) or fallback, told, bool(people))
    made.presets["guest_listen"] = Preset(",".join(guests) or checks.NONE, told, bool(guests))
    base = reading.get("external_base_url")
    if isinstance(base, str) and _is_base(base) and reading.text("external_base_url"):
        where = ("plugins", "monitor", "external_base_url")
        made.document.put(where, base, reading.origin("external_base_url"))
    made.document.later["plugins", "monitor", "token"] = (
        {"env": "SERVO_CI_MONITOR_API_TOKEN"},
        "The Monitor API's token, as that monitor's .env has it: 32 bytes at least (openssl rand "
        "-hex 32). Until the # is away, nobody may take runners with a token.",
    )
    repository = reading.get("main_repo_path")
    good = isinstance(repository, str) and repository.startswith("/") and repository.isprintable()
    if good and reading.text("main_repo_path"):
        served = {"/cache/servo": {"path": repository, "dotfiles": True}}
        origin = f"{reading.origin('main_repo_path')}, which it serves so"
        made.document.put(("plugins", "monitor", "static"), served, origin)
    notes.append(
        Note(
            path="IMAGE_DEPS_DIR (of its environment)",
            why="that monitor serves this folder as /image-deps, where its boot scripts look",
            instead='add "/image-deps" = { path = "…" } to static in [plugins.monitor]',
        )
    )


def _is_base(text: str) -> bool:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    odd = not text.isascii() or not text.isprintable() or any(each in text for each in ' "<>\\@?#')
    return good and not odd


def _select(reading: Reading, made: Translation) -> None:
    prefix = reading.get("allowed_qualified_repo_prefix")
    where: KeyPath = ("plugins", "artifact-select")
    if isinstance(prefix, str):
        owner, slash, name = prefix.partition("/")
        good = re.fullmatch(r"[A-Za-z0-9-]{1,39}", owner) and re.fullmatch(
            r"([A-Za-z0-9._-]{1,100})?", name
        )
        if (
            slash
            and good
            and name not in (".", "..")
            and reading.text("allowed_qualified_repo_prefix")
        ):
            origin = reading.origin("allowed_qualified_repo_prefix")
            made.document.put((*where, "allowed_repos"), [f"{owner}/{name or '*'}"], origin)
    if made.document.get(*where) is None:
        return
    if seconds := _seconds(reading, "tokenless_select_artifact_max_age", 86400):
        origin = reading.origin("tokenless_select_artifact_max_age")
        made.document.put((*where, "artifact_max_age"), seconds, origin)
        reading.take("tokenless_select_artifact_max_age")


def _profile(
    reading: Reading, made: Translation, key: str, checkout: Path | None, notes: list[Note]
) -> None:
    there = ("profiles", key)
    if not isinstance(reading.get(*there), dict):
        return
    name = _free(_named(key), made.profiles)
    where: KeyPath = (PROFILE, name)
    document = made.document
    document.put(where, {}, reading.origin(*there))
    made.profiles.append(name)
    if name != key:
        notes.append(
            Note(
                path=shown(there),
                why=f"profiles have lower-case letters, digits and - in their names: it is {name}",
                instead="and in what workflows ask the Monitor for",
            )
        )
    if reading.get(*there, "profile_name") == key:
        reading.take(*there, "profile_name")
    label = reading.get(*there, "github_runner_label")
    if (
        isinstance(label, str)
        and _good_label(label)
        and reading.text(*there, "github_runner_label")
    ):
        origin = reading.origin(*there, "github_runner_label")
        document.put((*where, "labels"), [label.strip()], origin)
    if (count := _count(reading.get(*there, "target_count"))) is not None:
        document.put((*where, "target_count"), count, reading.origin(*there, "target_count"))
        reading.take(*there, "target_count")
        if count == 0:  # else it would be a profile that never has a runner, which is a mistake
            origin = "none stands ready; only a policy override brings some, which may be more"
            document.put(
                (*where, "max_count"), 1, f"{reading.origin(*there, 'target_count')}: {origin}"
            )
    _timeouts(reading, made, where)
    _resources(reading, made, there, where)
    document.put((*where, "github"), {})
    _machine(reading, made, key, where, checkout)


def _timeouts(reading: Reading, made: Translation, where: KeyPath) -> None:
    for setting, ours in (
        ("monitor_start_timeout", "start_timeout"),
        ("monitor_reserve_timeout", "reserve_timeout"),
    ):
        if seconds := _seconds(reading, setting):
            made.document.put((*where, ours), seconds, reading.origin(setting))


def _resources(reading: Reading, made: Translation, there: KeyPath, where: KeyPath) -> None:
    resources: dict[str, Any] = {}
    origins = []
    if memory := _memory(reading.get(*there, "requires_normal_memory")):
        resources["memory"] = memory
        origins.append(reading.origin(*there, "requires_normal_memory"))
        reading.take(*there, "requires_normal_memory")
    if (pages := _count(reading.get(*there, "requires_1g_hugepages"))) is not None:
        resources["hugepages_1g"] = pages
        origins.append(reading.origin(*there, "requires_1g_hugepages"))
        reading.take(*there, "requires_1g_hugepages")
    if resources:
        made.document.put((*where, "resources"), resources, " and ".join(origins))


def _machine(
    reading: Reading, made: Translation, key: str, where: KeyPath, checkout: Path | None
) -> None:
    """What that monitor has in its code and in files: what is there is named, the rest is off."""
    document, disk = made.document, (*where, "libvirt")
    document.put(disk, {})
    document.put((*disk, "identify"), "address", "its boot scripts, which bring no secret")
    document.later[*disk, "source_image"] = (
        "jammy-server-cloudimg-amd64.raw",
        "What the profile's image is built from is in that monitor's code: name the disk on the "
        "hypervisor here (or as base_image, where it is to be used as it is).",
    )
    if seconds := _seconds(reading, "base_image_max_age"):
        document.later[*disk, "base_image_max_age"] = (
            seconds,
            f"from {reading.origin('base_image_max_age')}; with source_image",
        )
    files = (
        ((*where, "boot_script"), "boot-script"),
        ((*disk, "guest_xml"), "guest.xml"),
        ((*disk, "user_data"), "user-data"),
    )
    for place, file in files:
        path = f"profiles/{hidden(key)}/{file}"
        if checkout is not None and (found := _file(checkout, key, file)):
            document.put(place, found, f"its {path}")
        else:
            document.later[place] = (
                f"ci-runners/{path}",
                f"Its {path}; --servo-checkout names it.",
            )


def _file(checkout: Path, key: str, file: str) -> str:
    if "/" in key or key in (".", "..") or looks_secret(key):
        return ""
    found = (checkout / "profiles" / key / file).absolute()
    return str(found) if found.is_file() and str(found).isprintable() else ""


def _named(text: str, end: str = "") -> str:
    if looks_secret(text):  # a token that stands where a name belongs
        return f"servo{end}"
    found = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-") or "servo"
    return found[: 50 - len(end)].rstrip("-") + end


def _free(name: str, taken: list[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[:44]}-{number}"
    return found


def _good_label(text: str) -> bool:
    try:
        checks.label(text, {})
    except ValueError:
        return False
    return True


def _memory(found: Any) -> str:
    """`[0-9]+ ?[BKMGTP]` as a size of ours; empty where it is none."""
    match = _MEMORY.fullmatch(found) if isinstance(found, str) else None
    if not match:
        return ""
    number, unit = int(match[1]), match[2]
    if unit == "P":
        number, unit = number * 1024, "T"
    text = f"{number}{unit}"
    try:
        checks.size(text, {})
    except ValueError:
        return ""
    return text


def _count(found: Any) -> int | None:
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and 0 <= found <= 100_000 else None


def _seconds(reading: Reading, key: str, most: int = _LONGEST) -> str:
    found = reading.get(key)
    whole = isinstance(found, int) and not isinstance(found, bool)
    return f"{found}s" if whole and 0 < found <= most else ""
