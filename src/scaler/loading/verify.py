"""What is wrong with a plugin's class, seen before it is built. pluggy lets most of this pass."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from scaler.api import API, unusable
from scaler.hooks import PROJECT, SPEC, Kind, contract, hook_names
from scaler.loading.names import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMES = hook_names()
_MARK = f"{PROJECT}_impl"  # what pluggy's marker sets

#: Whoever implements the first must implement the second: what is made must be removed.
_TOGETHER = {"register_runner": "unregister_runner", "provision_runner": "destroy_runner"}


def marked(cls: type[Any]) -> dict[str, Mapping[str, Any]]:
    """Every method that carries `@hookimpl`, with its options."""
    found = {}
    for name in dir(cls):
        options = getattr(inspect.getattr_static(cls, name), _MARK, None)
        if options is not None:
            found[name] = options
    return found


def hooks_of(cls: type[Any]) -> list[str]:
    """The hooks that the class implements, in the order of their declaration."""
    own = {options["specname"] or name for name, options in marked(cls).items()}
    return [name for name in _NAMES if name in own]


def written_for(cls: type[Any]) -> str:
    """The version of the plugin API that it says it is written for; empty where it says none."""
    said = inspect.getattr_static(cls, "api", "")
    return said if isinstance(said, str) else ""


def signature(hook: str) -> str:
    """How a hook is declared, as an author would write it."""
    function = getattr(SPEC, hook)
    names = ", ".join(["self", *inspect.signature(function).parameters])
    return f"{'async ' if inspect.iscoroutinefunction(function) else ''}def {hook}({names})"


def unmarked(cls: type[Any]) -> list[str]:
    """What to say of each method that is called like a hook and is none."""
    impls = marked(cls)
    return [
        f"{cls.__name__}.{name} has the name of a hook, but no @hookimpl"
        for name, _ in inspect.getmembers(cls, inspect.isroutine)
        if name in _NAMES and name not in impls
    ]


def wrongs(cls: Any) -> list[str]:
    """Everything that is wrong with it; empty where it can be used."""
    if not isinstance(cls, type):
        return [f"wanted a class, found {cls!r}"]
    if wrong := _wrong_api(cls):
        return wrong  # what else is seen may be right in the version that it is written for
    impls, wrong = marked(cls), unmarked(cls)
    if not impls and not wrong:
        return [f"{cls.__name__} has no hook: no method is marked @hookimpl"]
    for name, options in impls.items():
        wrong += [
            f"{cls.__name__}.{name} {text}"
            for text in _wrong_with(getattr(cls, name), name, options)
        ]
    hooks = hooks_of(cls)
    declared = [options["specname"] or name for name, options in impls.items()]
    wrong += [
        f"{cls.__name__} implements {hook} twice" for hook in hooks if declared.count(hook) > 1
    ]
    wrong += [
        f"{cls.__name__} implements {first}, but not {second}"
        for first, second in _TOGETHER.items()
        if first in hooks and second not in hooks
    ]
    return wrong + _wrong_constructor(cls)


def _wrong_with(function: Callable[..., Any], name: str, options: Mapping[str, Any]) -> list[str]:
    hook = options["specname"] or name
    if hook not in _NAMES:
        if options["optionalhook"]:
            return []
        close = nearest(hook, _NAMES)
        known = f": {signature(close)}" if close else f"; hooks: {', '.join(_NAMES)}"
        return [f"is not a hook{did_you_mean(hook, _NAMES)}{known}"]
    declared, wrong = signature(hook), []
    if options["wrapper"] or options["hookwrapper"]:
        wrong.append("is a wrapper: those cannot go round hooks that are awaited")
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        wrong.append("is a generator: a hook returns its answer")
    if options["tryfirst"] or options["trylast"]:
        wrong.append("asks to be first or last: the order is that of the settings")
    if contract(getattr(SPEC, hook)).kind is Kind.OWN and not _is_async(function):
        wrong.append("must be an async function")
    allowed = list(inspect.signature(getattr(SPEC, hook)).parameters)
    parameters = list(inspect.signature(function).parameters.values())
    if inspect.isfunction(function):
        parameters = parameters[1:]  # self
    for parameter in parameters:
        wrong += _wrong_parameter(parameter, allowed)
    return [f"{text}: {declared}" for text in wrong]


def _wrong_parameter(parameter: Parameter, allowed: list[str]) -> list[str]:
    name = parameter.name
    if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        plain = parameter.replace(annotation=Parameter.empty)
        return [f"takes {plain}, which would always be empty"]
    if name not in allowed:
        return [f'has an argument "{name}" that it is never given{did_you_mean(name, allowed)}']
    if parameter.kind is Parameter.KEYWORD_ONLY:
        return [f'has the keyword-only argument "{name}": hooks are called by position']
    if parameter.default is not Parameter.empty:
        return [f'has a default for "{name}", so that it would never be given']
    return []


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _wrong_api(cls: type[Any]) -> list[str]:
    """A class may have an `api` of its own that is no version: a method, a property."""
    said = inspect.getattr_static(cls, "api", None)
    if isinstance(said, int | float | tuple | list):
        return [f'{cls.__name__}: api: found {said!r}, wanted a string, such as api = "{API}"']
    try:
        text = unusable(said) if isinstance(said, str) else ""
    except ValueError as error:
        return [f"{cls.__name__}: api: {error}"]
    return [f"{cls.__name__} {text}"] if text else []


def _wrong_constructor(cls: type[Any]) -> list[str]:
    try:
        inspect.signature(cls).bind(None)
    except TypeError as error:
        return [f"{cls.__name__} is built with one argument, its context: {error}"]
    except ValueError:  # a class of C has no signature
        pass
    return []
