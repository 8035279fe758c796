"""Which handler answers which request, and the short name by which tests speak of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote

from scaler_github.testing.http import Response

Handler = Callable[..., Response | Awaitable[Response]]
#: Whose manners an answer has: GitHub's REST API, the Actions service, the queue, or the host where
#: archives are.
Host = Literal["rest", "actions", "queue", "blob"]

_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path pattern; `{x}` stands for one part and becomes an argument."""

    name: str
    host: Host
    method: str
    pattern: re.Pattern[str]
    handler: Handler


@dataclass(slots=True)
class Routes:
    """The routes of one host, tried in the order in which they were added."""

    host: Host
    _routes: list[Route] = field(default_factory=list)

    def add(self, name: str, method: str, path: str, handler: Handler) -> None:
        """Add a route; several may share a name."""
        pattern = re.compile(_FIELD.sub(r"(?P<\1>[^/]+)", path))
        self._routes.append(Route(name, self.host, method, pattern, handler))

    @property
    def names(self) -> set[str]:
        """All short names."""
        return {route.name for route in self._routes}

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a raw path, and the decoded parts of the path."""
        for route in self._routes:
            if route.method == method and (match := route.pattern.fullmatch(path)):
                return route, {key: unquote(part) for key, part in match.groupdict().items()}
        return None
