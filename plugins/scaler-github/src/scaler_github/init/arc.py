"""`--from-arc`: the values of the chart gha-runner-scale-set, by itself or in what deploys it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from scaler import FatalError, Size, printable
from scaler_github.client import parse_config_url
from scaler_github.client.urls import check_proxy
from scaler_github.init import checks, yamls
from scaler_github.init.arc_reasons import OLDER, REASONS, UNKNOWN
from scaler_github.init.collecting import Preset
from scaler_github.init.document import Note
from scaler_github.init.translation import Place, Reading, Reason, Translation, as_text

_QUANTITY = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)(m|[kKMGTP]i?)?", re.ASCII)
_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** n for n, unit in enumerate("kMGTP", 1)},
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTP", 1)},
}
_OLD_API = "actions.summerwind.dev/"
_OLD_KINDS = {
    "RunnerDeployment",
    "HorizontalRunnerAutoscaler",
    "RunnerSet",
    "RunnerReplicaSet",
    "Runner",
}
_SIDE = "-scaler"  # ends the scale set's name, so that both systems can run
_HEAD = (
    "Made from {name}, values of the chart gha-runner-scale-set. What had no counterpart is listed "
    "at the end.",
)


def translate(path: Path) -> Translation:
    """Read it.

    Raises:
        FatalError: It cannot be read, or is something else; the text says what.
    """
    name = printable(path.name)
    values, prefix = _values(yamls.read(path), path)
    reading = Reading(values, name)
    made = Translation()
    made.document.head = [each.format(name=name) for each in _HEAD]
    at = _At(reading, made, prefix)
    _github(at)
    _counts(at)
    _scale_set(at)
    _resources(at)
    _rest(at)
    made.document.notes = [*_unset(at), *reading.rest(_below(prefix), UNKNOWN)]
    return made


class _At:
    """The values, wherever in the file they stand."""

    def __init__(self, reading: Reading, made: Translation, prefix: Place) -> None:
        self.reading = reading
        self.made = made
        self._prefix = prefix

    def get(self, *place: str) -> Any:
        """A value, not taken."""
        return self.reading.get(*self._prefix, *place)

    def take(self, *place: str) -> None:
        """From now on it counts as translated."""
        self.reading.take(*self._prefix, *place)

    def text(self, *place: str) -> str:
        """A text or number as text, not taken; empty where there is none."""
        return as_text(self.get(*place))

    def origin(self, *place: str) -> str:
        """How a place is told."""
        return self.reading.origin(*self._prefix, *place)

    def preset(self, key: str, text: str, *place: str, told: str = "") -> None:
        """Answer a question."""
        self.take(*place)
        self.made.presets[key] = Preset(text, self.origin(*place) + told)


def _values(documents: list[Any], path: Path) -> tuple[Mapping[str, Any], Place]:
    """The map that has the chart's values in it, and where in it they are.

    Raises:
        FatalError: There is none.
    """
    maps = [each for each in documents if isinstance(each, dict)]
    old = [each for each in maps if _is_old(each)]
    if old:
        kinds = ", ".join(sorted({printable(str(each.get("kind")))[:60] for each in old}))
        raise FatalError(f"{path}: found {kinds} of {_OLD_API}…: {OLDER}")
    for found in maps:
        match found.get("kind"), found.get("spec"):
            case "AutoscalingRunnerSet", dict():
                return _alone(found, maps, path), ("spec",)
            case "HelmRelease", {"values": dict()}:
                return _alone(found, maps, path), ("spec", "values")
    if len(maps) != 1 or len(documents) != 1:
        raise FatalError(
            f"{path}: found {len(documents)} documents and no AutoscalingRunnerSet or HelmRelease "
            "among them, wanted the values of one installation of gha-runner-scale-set: "
            "helm get values NAME > values.yaml"
        )
    if "scaleset" in maps[0] and "auth" in maps[0]:
        raise FatalError(
            f"{path}: these are values of the chart gha-runner-scale-set-experimental, whose keys "
            "have other names; wanted those of gha-runner-scale-set"
        )
    known = {each.parts[0] for each in REASONS} | {"minRunners", "maxRunners", "template"}
    if not known & {str(key) for key in maps[0]}:
        raise FatalError(
            f"{path}: found none of the keys that values of gha-runner-scale-set have, such as "
            "githubConfigUrl: helm get values NAME > values.yaml"
        )
    return maps[0], ()


def _alone(found: Mapping[str, Any], maps: list[Any], path: Path) -> Mapping[str, Any]:
    several = [each for each in maps if each.get("kind") == found.get("kind")]
    if len(several) > 1 or len(maps) > 1:
        raise FatalError(
            f"{path}: found {len(maps)} documents, wanted one: take each {found['kind']} into a "
            "file of its own, and run scaler init for each"
        )
    return found


def _is_old(found: Mapping[str, Any]) -> bool:
    version = found.get("apiVersion")
    return (
        isinstance(version, str)
        and version.startswith(_OLD_API)
        and found.get("kind") in _OLD_KINDS
    )


def _below(prefix: Place) -> list[Reason]:
    """The reasons, for values that stand there; and for what is around them."""
    if not prefix:
        return list(REASONS)
    put = [Reason(f"{'.'.join(prefix)}.{each.place}", each.why, each.instead) for each in REASONS]
    return [
        *put,
        *(
            Reason(key, "it is about the object in Kubernetes, not about its runners")
            for key in ("apiVersion", "kind", "metadata", "status")
        ),
        *(
            Reason(f"spec.{key}", "it is about how Kubernetes gets the chart")
            for key in (
                "releaseName",
                "chart",
                "chartRef",
                "interval",
                "install",
                "upgrade",
                "driftDetection",
            )
            if prefix != ("spec",)
        ),
    ]


def _github(at: _At) -> None:
    url = at.text("githubConfigUrl")
    if url and _fits(parse_config_url, url):
        at.preset("url", url, "githubConfigUrl")
    secret = "githubConfigSecret"
    for key, ours in (
        ("github_app_id", "app_client_id"),
        ("github_app_installation_id", "app_installation_id"),
    ):
        text = at.text(secret, key)
        read = checks.client_id if ours == "app_client_id" else checks.number(1)
        if text and _fits(lambda each, r=read: r(each, {}), text):
            at.preset(ours, text, secret, key)
    for way in ("https", "http"):
        proxy = at.text("proxy", way, "url")
        if proxy and "@" not in proxy and _fits(check_proxy, proxy):
            where = ("plugins", "github", "proxy")
            at.made.document.put(where, proxy, at.origin("proxy", way, "url"))
            at.take("proxy", way, "url")
            break
    certificate = ("githubServerTLS", "certificateFrom", "configMapKeyRef")
    if isinstance(at.get(*certificate), dict):
        at.made.document.later["plugins", "github", "ca_file"] = (
            "/etc/scaler/github-ca.pem",
            f"{at.origin(*certificate)} names a config map that has it: put the certificate into a "
            "file, and take the # away.",
        )


def _counts(at: _At) -> None:
    least, most = _count(at.get("minRunners")), _count(at.get("maxRunners"))
    if least is not None and most is not None and least > most:
        raise FatalError(
            f"{at.origin('minRunners')}: found {least}, and maxRunners is {most}, which the chart "
            "refuses, too: mend it there first"
        )
    if least is not None:
        at.preset("target_count", str(least), "minRunners")
    if most:  # 0 is a scale set that is off: max_count has its own reason below
        at.preset("max_count", str(most), "maxRunners")


def _scale_set(at: _At) -> None:
    name = at.text("runnerScaleSetName")
    if name and _fits(lambda each: checks.reference(each, {}), name):
        profile = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:50].rstrip("-")
        if profile:
            origin = at.origin("runnerScaleSetName")
            at.made.presets["profile"] = Preset(profile, origin, written=False)
        told = f", and {_SIDE} behind it: while both run, each has a scale set of its own"
        at.preset(
            "scale_set", f"{name[: 128 - len(_SIDE)]}{_SIDE}", "runnerScaleSetName", told=told
        )
    group = at.text("runnerGroup")
    if group and _fits(lambda each: checks.reference(each, {}), group):
        at.preset("runner_group", group, "runnerGroup")


def _runner(at: _At) -> Place | None:
    """Where the container named `runner` is."""
    place = ("template", "spec", "containers")
    found = at.get(*place)
    for number, each in enumerate(found if isinstance(found, list) else []):
        if isinstance(each, dict) and each.get("name") == "runner":
            return (*place, str(number))
    return None


def _resources(at: _At) -> None:
    container = _runner(at)
    if container is None:
        return
    at.take(*container, "name")
    for name, key in (
        ("memory", "runner_memory"),
        ("cpu", "runner_vcpus"),
        ("ephemeral-storage", "disk_size"),
    ):
        for kind in ("limits", "requests"):
            place = (*container, "resources", kind, name)
            text = _quantity(at.get(*place), name)
            if text and key not in at.made.presets:
                at.preset(key, text, *place)


def _rest(at: _At) -> None:
    seconds = _count(at.get("template", "spec", "activeDeadlineSeconds"), 10**9)
    if seconds:
        place = ("template", "spec", "activeDeadlineSeconds")
        at.preset("max_lifetime", f"{seconds}s", *place)


def _unset(at: _At) -> Iterator[Note]:
    """What the chart does where nothing is said, and scaler does not."""
    if at.get("minRunners") is None:
        told = "minRunners, which is 0 where it is left out"
        at.made.presets["target_count"] = Preset("0", told, written=False)
    if at.get("maxRunners") is None:
        why = "left out, and the chart's runners have no limit then; a profile has one"
        yield Note(path="maxRunners", why=why, instead="--max-count; the hosts' limits count, too")
    if not at.get("runnerScaleSetName"):
        why = "left out, and the chart takes the release's name then, which stands in no file"
        instead = "helm list says it: give another by --scale-set, while both run"
        yield Note(path="runnerScaleSetName", why=why, instead=instead)


def _quantity(found: Any, name: str) -> str:
    """A quantity of Kubernetes as an answer of ours; empty where it is none."""
    match = _QUANTITY.fullmatch(str(found)) if isinstance(found, str | int | float) else None
    if match is None or isinstance(found, bool):
        return ""
    try:
        amount = Decimal(match[1]) * _FACTORS[match[2] or ""]
    except InvalidOperation:
        return ""
    whole = int(amount.to_integral_value(ROUND_CEILING))
    if name == "cpu":
        return str(whole) if 1 <= whole <= 1024 else ""
    mebibytes = -(-whole >> 20)
    return str(Size(mebibytes << 20)) if 1 <= mebibytes <= 1 << 30 else ""


def _count(found: Any, most: int = 100_000) -> int | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return int(found) if 0 <= found <= most and found == int(found) else None


def _fits(read: Any, text: str) -> bool:
    try:
        checks.plain(text)
        read(text)
    except ValueError:
        return False
    return True
