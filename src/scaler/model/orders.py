"""What people told: which rooms take nothing new, and how it is said. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scaler.model.evolve import evolve
from scaler.records import RoomState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scaler.records import Order, Room

NAMED = 100  # characters of who told that are shown


def place(plugin: str, room: str) -> str:
    """What a drained room is called in an order."""
    return f"{plugin}/{room}"


def drained(orders: Mapping[tuple[str, str], Order]) -> frozenset[tuple[str, str]]:
    """The rooms that are to be drained, each as its plugin and its name."""
    return frozenset(parted(name) for kind, name in orders if kind == "drain")


def parted(name: str) -> tuple[str, str]:
    """Plugin and room of an order's name; a room's own name may hold a slash."""
    plugin, _, room = name.partition("/")
    return plugin, room


def applied(
    rooms: Mapping[str, Sequence[Room] | None], drained: Collection[tuple[str, str]]
) -> Mapping[str, Sequence[Room] | None]:
    """The rooms as orders have it: one that is up and drained is draining."""
    plugins = {plugin for plugin, _ in drained}
    after = dict(rooms) if plugins else rooms
    for plugin in plugins:
        answered = rooms.get(plugin)
        if answered is not None and isinstance(after, dict):
            after[plugin] = tuple(
                evolve(room, state=RoomState.DRAINING)
                if room.state is RoomState.UP and (plugin, room.name) in drained
                else room
                for room in answered
            )
    return after


def told(order: Order) -> str:
    """Since when it holds, and who told so."""
    since = datetime.fromtimestamp(order.since, UTC)
    text = f"since {since:%Y-%m-%d %H:%M} UTC"
    return f"{text} by {by}" if (by := named(order.by, "")) else text


def named(by: str, otherwise: str = "somebody") -> str:
    """Who told, in one line of plain characters."""
    plain = "".join(each if each.isprintable() else "?" for each in by[:NAMED])
    return plain or otherwise
