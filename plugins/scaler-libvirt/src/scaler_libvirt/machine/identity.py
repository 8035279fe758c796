"""Whose machine a domain is: what stands in its metadata, so that any start finds it again."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, cast, get_args
from urllib.parse import quote, unquote

NAMESPACE = "urn:scaler:machine:1"
TAG = f"{{{NAMESPACE}}}machine"

Role = Literal["runner", "builder", "smoke", "probe"]

_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_UNSAFE = re.compile(r"[^a-z0-9]+")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)
_MAC = re.compile(r"(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5})?", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_NOTHING: Mapping[str, int] = MappingProxyType({})

# ElementTree keeps prefixes process-wide; any other prefix would mean the same
ET.register_namespace("scaler", NAMESPACE)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose machine a domain is. It stands in the domain's metadata.

    Attributes:
        scaler: The name of the scaler that made it; nobody else touches the domain.
        runner: The runner's id, or None for a machine that makes or tries an image.
        generation: Tells two machines of one runner apart, and grows: nanoseconds since 1970.
        config_sha256: Of the registration's config, so that a machine is never taken for one that
            was given another config. The config itself is a secret and never stands here.
        role: What it is for: a runner's job, building an image, trying one, or trying KVM.
        image: The name of the image that its disk stands on; empty where it was built by nobody.
        key_sha256: Of the secret that its seed carries, as 64 hex digits; empty where it has none.
        mac: Of its interface; empty where it has none of ours.
        address: The one that is fixed for it; empty where none is.
        resources: What it takes of its room.
        delivered: Whether the registration's config was put into its seed.
    """

    scaler: str
    runner: int | None
    runner_name: str = ""
    profile: str = ""
    generation: int = 0
    config_sha256: str = ""
    role: Role = "runner"
    image: str = ""
    key_sha256: str = ""
    mac: str = ""
    address: str = ""
    resources: Mapping[str, int] = field(default_factory=lambda: _NOTHING, hash=False)
    delivered: bool = False

    def same_runner(self, other: Identity) -> bool:
        """Whether both are the same runner with the same config, whatever the generation."""
        return (self.scaler, self.runner, self.runner_name, self.config_sha256) == (
            other.scaler,
            other.runner,
            other.runner_name,
            other.config_sha256,
        )


def digest(config: str) -> str:
    """What stands in a domain's metadata instead of a registration's config, or of a key."""
    return hashlib.sha256(config.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=1024)
def domain_name(runner_name: str) -> str:
    """A name that is safe everywhere libvirt and QEMU put it: files, sockets, command lines.

    Only `[a-z0-9-]`, never a leading dash, 50 at most. The end of it is a digest of the runner's
    whole name, so two runners never share one.
    """
    readable = _UNSAFE.sub("-", runner_name.lower()).strip("-")[:39].rstrip("-") or "runner"
    tail = hashlib.sha256(runner_name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{readable}-{tail}"


def new_uuid() -> str:
    """The UUID of a machine that is about to be made: no two machines ever share one."""
    return str(uuid.uuid4())


def new_key() -> str:
    """A secret for one machine's seed: 192 random bits, in characters that a URL takes as is."""
    return secrets.token_urlsafe(24)


def mac_of(what: str) -> str:
    """A hardware address: the same for the same text, such as a UUID, and nobody's by law.

    The first byte says that it was assigned locally, and belongs to one station.
    """
    rest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).digest()[:5]
    return ":".join(["52", *(f"{byte:02x}" for byte in rest)])


def identity_element(identity: Identity) -> ET.Element:
    """What stands in the metadata; `read_identity` reads it back."""
    element = ET.Element(TAG, scaler=_encode(identity.scaler))
    if identity.runner is not None:
        element.set("runner", str(identity.runner))
    element.set("name", _encode(identity.runner_name))
    element.set("profile", _encode(identity.profile))
    element.set("generation", str(identity.generation))
    element.set("config-sha256", _encode(identity.config_sha256))
    element.set("role", identity.role)
    told = {
        "image": identity.image,
        "key-sha256": identity.key_sha256,
        "mac": identity.mac,
        "address": identity.address,
        "resources": _resources_text(identity.resources),
        "delivered": "yes" if identity.delivered else "",
    }
    for name, value in told.items():
        if value:
            element.set(name, _encode(value))
    return element


def read_identity(metadata: str) -> Identity | None:
    """The identity in a metadata element, as libvirt answers it; None where it is none of ours.

    Anyone with access to the hypervisor can write anything there, so whatever is not exactly what
    we write is somebody else's. What an older scaler left out has the value that it had then.
    """
    try:
        element = ET.fromstring(metadata)
    except ET.ParseError:
        return None
    if element.tag not in (TAG, "machine"):  # libvirt 9 leaves the namespace out of its answer
        return None
    try:
        return _read({name: _decode(value) for name, value in element.items()})
    except (KeyError, ValueError):
        return None


def _read(told: Mapping[str, str]) -> Identity:
    runner = told.get("runner")
    role = told.get("role", "builder" if runner is None else "runner")
    if role not in get_args(Role):
        raise ValueError("no such role")
    address = told.get("address", "")
    if address and str(ipaddress.ip_address(address)) != address:
        raise ValueError("not how we write an address")
    return Identity(
        scaler=told.get("scaler", ""),
        runner=None if runner is None else int(_fits(_ID, runner)),
        runner_name=told.get("name", ""),
        profile=told.get("profile", ""),
        generation=int(_fits(_ID, told["generation"])),
        config_sha256=told.get("config-sha256", ""),
        role=cast("Role", role),
        image=told.get("image", ""),
        key_sha256=_fits(_DIGEST, told.get("key-sha256", "")),
        mac=_fits(_MAC, told.get("mac", "")),
        address=address,
        resources=_resources(told.get("resources", "")),
        delivered={"": False, "yes": True}[told.get("delivered", "")],
    )


def identity_of(domain_xml: str) -> Identity | None:
    """The identity in a whole domain's XML."""
    element = ET.fromstring(domain_xml).find(f"metadata/{TAG}")
    return None if element is None else read_identity(ET.tostring(element, encoding="unicode"))


def _fits(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("not what we write")
    return text


def _resources_text(resources: Mapping[str, int]) -> str:
    return " ".join(
        f"{quote(name, safe='', errors='surrogatepass')}={amount}"
        for name, amount in sorted(resources.items())
    )


def _resources(text: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for each in text.split(" ") if text else ():
        name, _, amount = each.partition("=")
        found[_decode(name)] = int(_fits(_AMOUNT, amount))
    return MappingProxyType(found)


def _encode(text: str) -> str:
    """As ASCII: XML cannot hold every character (no NUL, for one), and names are anyone's."""
    return quote(text, safe="@:/ ", errors="surrogatepass")


def _decode(text: str) -> str:
    return unquote(text, errors="surrogatepass")
