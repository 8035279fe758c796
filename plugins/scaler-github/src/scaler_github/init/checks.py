"""What an answer may be. Each reads a text, and raises ValueError with what is wrong with it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any

from scaler import Duration, Size
from scaler_github.client import parse_config_url
from scaler_github.init.secrecy import looks_secret

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,49}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DNS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_CLIENT = re.compile(r"[0-9]{1,19}|(?![0-9.]+$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}", re.ASCII)
_MOST = 100_000  # runners of one profile
_LONGEST = 256  # characters of a label, as GitHub has it
_LEAST_MEMORY = 1 << 20
NONE = "none"

Answers = Mapping[str, Any]


def plain(text: str) -> str:
    """A text on one line, which is no secret. All others begin with it."""
    text = text.strip()
    if not text:
        raise ValueError("found nothing")
    if looks_secret(text):
        raise ValueError(
            "found what looks like a token or a key, wanted something that may stand in a file: "
            "scaler never keeps one in its settings. If it was on a command line, it is in your "
            "shell's history now: better to make a new one"
        )
    if not text.isprintable():
        raise ValueError("found a character that cannot be seen, wanted one line of text")
    return text


def url(text: str, _: Answers) -> str:
    """The address of an organization, a repository or an enterprise."""
    return parse_config_url(plain(text)).url


def name(text: str, _: Answers) -> str:
    """A name of a scaler or a profile."""
    text = plain(text)
    if not NAME.fullmatch(text):
        raise ValueError(
            f'found "{text}", wanted lower-case letters, digits and "-" '
            '(50 at most, the first no "-")'
        )
    return text


def choice(*words: str) -> Any:
    """One of these words."""

    def read(text: str, _: Answers) -> str:
        text = plain(text).lower()
        if text not in words:
            raise ValueError(f'found "{text}", wanted {", ".join(words[:-1])} or {words[-1]}')
        return text

    return read


def variable(text: str, _: Answers) -> str:
    """The name of an environment variable."""
    text = plain(text).removeprefix("$")
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            f'found "{text}", wanted the name of an environment variable, such as GITHUB_TOKEN'
        )
    return text


def file(text: str, _: Answers) -> str:
    """A file's path."""
    text = plain(text)
    if text.endswith("/"):
        raise ValueError(f'found "{text}", which names a folder, wanted a file')
    return text


def folder(text: str, _: Answers) -> str:
    """A folder's path, whole: what is relative would depend on where the file lies."""
    text = os.path.expanduser(plain(text))
    if not text.startswith("/"):
        raise ValueError(f'found "{text}", wanted its whole path, from / on')
    if os.path.lexists(text) and not os.path.isdir(text):
        raise ValueError(f"found {text}, which is no folder")
    return text


def client_id(text: str, _: Answers) -> str:
    """A GitHub App's client ID, or its number."""
    text = plain(text)
    if not _CLIENT.fullmatch(text):
        raise ValueError(f'found "{text}", wanted one such as Iv23liAbCdEf, or the App\'s number')
    return text


def number(least: int, most: int = 2**53) -> Any:
    """A whole number."""

    def read(text: str, _: Answers) -> int:
        text = plain(text)
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:20]) <= most:
            wanted = f"{least} to {most}" if most < 2**53 else f"{least} or more"
            raise ValueError(f'found "{text}", wanted a whole number, {wanted}')
        return int(text)

    return read


count = number(0, _MOST)
vcpus = number(1, 65_536)


def most(text: str, answers: Answers) -> int:
    """How many at most."""
    found: int = number(1, _MOST)(text, answers)
    least = answers.get("target_count", 0)
    if found < least:
        raise ValueError(f"found {found}, wanted {least} or more, since so many stand ready")
    return found


def size(text: str, _: Answers) -> str:
    """An amount of memory or of disk."""
    text = plain(text)
    try:
        found = Size.parse(text)
    except ValueError as error:
        raise ValueError(f'found "{text}", wanted {error}') from None
    if found < _LEAST_MEMORY:
        wanted = f"a unit too, such as {text}G" if found and text.isdecimal() else "1M or more"
        raise ValueError(f'found "{text}", wanted {wanted}')
    return text


def duration(text: str, _: Answers) -> str:
    """A length of time."""
    text = plain(text)
    try:
        good = Duration.parse(text) > 0
    except ValueError as error:
        raise ValueError(f'found "{text}", wanted {error}') from None
    if not good:
        raise ValueError(f'found "{text}", wanted more than 0')
    return text


def most_memory(answers: Answers) -> int | None:
    """What the largest hypervisor gives to runners; None where one gives without limit."""
    limits = [each.get("memory") for each in answers.get("hosts", ())]
    return max((Size.parse(each) for each in limits if each), default=None) if all(limits) else None


def most_vcpus(answers: Answers) -> int | None:
    """The same of processors."""
    limits = [each.get("vcpus") for each in answers.get("hosts", ())]
    return max(limits, default=None) if all(limits) else None


def runner_memory(text: str, answers: Answers) -> str:
    """What one machine takes: no more than a hypervisor gives."""
    found, limit = size(text, answers), most_memory(answers)
    if limit is not None and Size.parse(found) > limit:
        raise ValueError(f'found "{found}", wanted {Size(limit)} at most: no hypervisor gives more')
    return found


def runner_vcpus(text: str, answers: Answers) -> int:
    """The same of processors."""
    found: int = vcpus(text, answers)
    limit = most_vcpus(answers)
    if limit is not None and found > limit:
        raise ValueError(f"found {found}, wanted {limit} at most: no hypervisor gives more")
    return found


def host(text: str, answers: Answers) -> dict[str, Any]:
    """A hypervisor: its URI, and what runners may use of it, as `URI,memory=64G,vcpus=16`."""
    uri, *options = plain(text).split(",")
    if ":" not in uri or any(c.isspace() for c in uri):
        raise ValueError(
            f'found "{uri}", wanted a URI of libvirt\'s, such as qemu:///system or '
            "qemu+ssh://scaler@vm2.example.org/system"
        )
    found: dict[str, Any] = {"uri": uri}
    for option in options:
        key, _, told = option.partition("=")
        if key not in _HOST_KEYS or key in found:
            wanted = ", ".join(f"{each}=…" for each in _HOST_KEYS)
            raise ValueError(f'found "{option}" behind {uri}, wanted {wanted}, each once')
        try:
            found[key] = _HOST_KEYS[key](told, answers)
        except ValueError as error:
            raise ValueError(f"{key} of {uri}: {error}") from None
    return found


def room(text: str, _: Answers) -> str:
    """A host's name."""
    text = plain(text)
    if not _HOST.fullmatch(text):
        raise ValueError(f'found "{text}", wanted letters, digits and . _ -')
    return text


def network(text: str, _: Answers) -> str:
    """The name of one of libvirt's networks."""
    text = plain(text)
    if not _REF.fullmatch(text):
        raise ValueError(f'found "{text}", wanted the name of one that `virsh net-list --all` has')
    return text


def _unlimited(read: Any) -> Any:
    return lambda text, answers: None if text == NONE else read(text, answers)


host_memory = _unlimited(size)
host_vcpus = _unlimited(vcpus)
_HOST_KEYS = {
    "name": room,
    "memory": host_memory,
    "vcpus": host_vcpus,
    "hugepages_1g": number(0, 1 << 20),
    "network": network,
}


def label(text: str, _: Answers) -> str:
    """A runner's label."""
    text = plain(text)
    if "," in text or len(text) > _LONGEST:
        raise ValueError(f'found "{text}", wanted {_LONGEST} characters at most and no comma')
    if text.lower().startswith(("reserved-for:", "reserved-since:", "reserved-by:")):
        raise ValueError(f'found "{text}", which scaler puts and deletes itself')
    return text


def labels(text: str, answers: Answers) -> list[str]:
    """Several, with commas or spaces between."""
    if text.strip() == NONE:
        return []
    found = [label(each, answers) for each in re.split(r"[,\s]+", text) if each]
    return list(dict.fromkeys(found))


def reference(text: str, _: Answers) -> str:
    """The name of a scale set or of a runner group."""
    text = plain(text)
    if not _REF.fullmatch(text):
        raise ValueError(f'found "{text}", wanted letters, digits, spaces and . _ - (128 at most)')
    return text


def image(text: str, _: Answers) -> str:
    """A disk on the hypervisor: a path, or the name of a volume."""
    text = plain(text)
    if "/" in text and not text.startswith("/"):
        raise ValueError(
            f'found "{text}", wanted a whole path on the hypervisor, or the name of a volume in '
            "the host's pool"
        )
    return text


def address(text: str) -> str:
    """An address to listen on: `HOST:PORT`, `[IPv6]:PORT` or `unix:/PATH`."""
    if text.startswith("unix:/"):
        return text
    found, _, port = text.rpartition(":")
    good = port.isascii() and port.isdecimal() and int(port[:6]) <= 65535
    if good and found.startswith("[") and found.endswith("]"):
        try:
            ipaddress.IPv6Address(found[1:-1])
        except ValueError:
            good = False
    elif good:
        good = _DNS.fullmatch(found) is not None
    if not good:
        raise ValueError(f'found "{text}", wanted HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000')
    return text


def listen(text: str, _: Answers) -> list[str]:
    """Addresses to listen on; at least one."""
    return list(dict.fromkeys(address(each) for each in plain(text).replace(",", " ").split()))


def guest_listen(text: str, answers: Answers) -> list[str]:
    """Where guests are served, or none."""
    if plain(text) == NONE:
        return []
    found = listen(text, answers)
    for each in found:
        if each in answers.get("listen", ()):
            raise ValueError(
                f'found "{each}", which is where people are served; guests get another'
            )
    return found
