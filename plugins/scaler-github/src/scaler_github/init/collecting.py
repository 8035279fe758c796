"""From flags, from another system's settings and from a person to one set of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scaler import printable
from scaler_github.init import checks
from scaler_github.init.document import Note
from scaler_github.init.questions import QUESTIONS, Question, memory_here, vcpus_here
from scaler_github.init.secrecy import hidden

if TYPE_CHECKING:
    from scaler_github.init.asking import Asker

_HOWS = {
    "env": ("token_env",),
    "file": ("token_file",),
    "app": ("app_client_id", "app_installation_id", "app_key_file"),
}
_TEST = {"name": "test", "uri": "test:///default", "memory": "24G", "vcpus": 12}


class UsageError(Exception):
    """The command line does not say what it must; the text names the flags."""


@dataclass(frozen=True)
class Preset:
    """An answer that another system's settings give.

    Attributes:
        text: As a person would answer.
        origin: Where it stands there.
        written: Whether it does stand there, and is not merely what that system does.
    """

    text: str
    origin: str
    written: bool = True


@dataclass
class Answered:
    """The answers.

    Attributes:
        answers: By the questions' keys.
        origins: Where those came from that another system's settings gave.
        notes: What of those could not be taken.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def collect(
    given: Mapping[str, Sequence[str]],
    presets: Mapping[str, Preset],
    asker: Asker | None,
    profiles: Sequence[str] = (),
) -> Answered:
    """Answer every question.

    Args:
        given: What the command line says, by the questions' keys.
        presets: What another system's settings say.
        asker: Who is asked for the rest; nobody where None.
        profiles: The profiles that those settings brought: then none is asked for.

    Raises:
        UsageError: A flag is wrong, or one is missing and there is nobody to ask.
    """
    done, missing, wrong = Answered(), list[str](), list[str]()
    done.answers["profiles"] = list(profiles)
    if how := _how(given, presets):
        done.answers["auth"] = how
    for question in QUESTIONS:
        if question.key in done.answers:
            continue
        try:
            found = _answer(question, given, presets, asker, done)
        except ValueError as error:
            wrong.append(f"{question.flag}: {error}")
            continue
        if found is _MISSING:
            missing.append(f"{question.flag} ({question.help})")
        elif found is not None:
            done.answers[question.key] = found
        if question.key == "hosts":
            missing += _hosts(done.answers, asker)
    for key, preset in presets.items():
        if preset.written and key not in done.origins and not _noted(done, preset):
            flag = next(question.flag for question in QUESTIONS if question.key == key)
            why = (
                f"{flag} says otherwise"
                if key in given
                else "it is of no use with the other answers"
            )
            done.notes.append(Note(path=preset.origin, why=f"not taken: {why}"))
    if missing:
        wrong.append("there is no terminal to ask at, so these are needed:")
        wrong += [f"  {each}" for each in missing]
    if wrong:
        raise UsageError("\n".join(wrong))
    return done


_MISSING = object()


def _how(given: Mapping[str, Any], presets: Mapping[str, Any]) -> str:
    """How to sign in, where flags or another system's settings say it."""
    named = [how for how, keys in _HOWS.items() if any(key in given for key in keys)]
    if len(named) > 1:
        flags = " and ".join(
            f"--{each}".replace("_", "-") for how in named for each in _HOWS[how][:1]
        )
        raise UsageError(f"found {flags}, wanted one way to sign in")
    if {"source_image", "base_image"} <= given.keys():
        raise UsageError("found --source-image and --base-image, wanted one of them")
    likely = [how for how, keys in _HOWS.items() if any(key in presets for key in keys)]
    return (named or likely or [""])[0]


def _answer(
    question: Question,
    given: Mapping[str, Sequence[str]],
    presets: Mapping[str, Preset],
    asker: Asker | None,
    done: Answered,
) -> Any:
    """The answer; None where there is no question, `_MISSING` where nobody can be asked.

    Raises:
        ValueError: What a flag says is wrong.
    """
    wanted = question.wanted(done.answers)
    if question.key in given:
        if not wanted:
            raise ValueError("does not go with the other answers: leave it out")
        return _read(question, given[question.key], done.answers)
    if not wanted:
        return None
    if question.key in presets:
        preset = presets[question.key]
        try:
            found = _read(question, [preset.text], done.answers)
        except ValueError as error:
            why = f"it cannot be taken as it is: {hidden(str(error))}"
            done.notes.append(Note(path=preset.origin, why=why, instead=f"give {question.flag}"))
        else:
            done.origins[question.key] = preset.origin
            return found
    default = question.default(done.answers)
    if question.ask and asker is not None:
        read = partial(_read_one, question, done.answers)
        return asker.ask(
            question.ask, question.why, default or question.propose(done.answers), read
        )
    if default:
        return _read(question, [default], done.answers)
    return _MISSING if question.ask else None


def _read(question: Question, texts: Sequence[str], answers: Mapping[str, Any]) -> Any:
    if question.key == "hosts":
        return [question.read(text, answers) for text in texts]
    return question.read(",".join(texts), answers)


def _read_one(question: Question, answers: Mapping[str, Any], text: str) -> Any:
    return _read(question, [text], answers)


def _noted(done: Answered, preset: Preset) -> bool:
    return any(note.path == preset.origin for note in done.notes)


def _hosts(answers: dict[str, Any], asker: Asker | None) -> list[str]:
    """Complete the hypervisors: names, and what may be used of them. Answer what is missing."""
    if answers.get("machines") == "test":
        answers["hosts"] = [dict(_TEST)]
        return []
    hosts: list[dict[str, Any]] = answers.get("hosts", [])
    missing, named = [], len(hosts) > 1
    for host in hosts:
        missing += _limits(host, asker)
    while asker is not None and hosts and not named:
        found = asker.ask(
            "Another hypervisor, or none",
            "The next one's address, such as qemu+ssh://scaler@vm2.example.org/system.",
            checks.NONE,
            partial(_another, answers),
        )
        if found is None:
            break
        missing += _limits(found, asker)
        hosts.append(found)
    taken = {host["name"] for host in hosts if "name" in host}
    for number, host in enumerate(hosts, 1):
        if "name" not in host:
            free = (f"vm{each}" for each in range(number, 10_000) if f"vm{each}" not in taken)
            host["name"] = next(free)
            taken.add(host["name"])
    if len({host["name"] for host in hosts}) < len(hosts):
        raise UsageError("--host: found two hypervisors of one name, wanted a name for each")
    answers["hosts"] = [
        {"name": host["name"], **{key: one for key, one in host.items() if one is not None}}
        for host in hosts
    ]
    return missing


def _another(answers: Mapping[str, Any], text: str) -> dict[str, Any] | None:
    return None if text == checks.NONE else checks.host(text, answers)


def _limits(host: dict[str, Any], asker: Asker | None) -> list[str]:
    """Complete what runners may use of a hypervisor, which is known of this machine alone."""
    here = _is_here(host["uri"])
    uri = printable(host["uri"])
    wanted = {
        "memory": (memory_here, checks.host_memory, f"Memory of {uri} that runners may use in all"),
        "vcpus": (
            vcpus_here,
            checks.host_vcpus,
            f"Processors of {uri} that runners may use in all",
        ),
    }
    missing = []
    for key, (found, read, ask) in wanted.items():
        if key in host:
            continue
        if asker is not None:
            why = (
                "Leave some to the host itself."
                if key == "memory"
                else "Virtual ones, or none: no limit."
            )
            host[key] = asker.ask(ask, why, found() if here else "", partial(_alone, read))
        elif here:
            host[key] = read(found(), {})
        else:
            missing.append(f"--host {uri},{key}=… (how much of it runners may use)")
    return missing


def _alone(read: Callable[[str, Mapping[str, Any]], Any], text: str) -> Any:
    return read(text, {})


def _is_here(uri: str) -> bool:
    try:
        return not urlsplit(uri).hostname
    except ValueError:
        return False
