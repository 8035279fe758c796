"""Faults that a scaler must not have, planted to see the oracles catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.queue.listener import Listener
from scaler_github.queue.runners import Runners
from scaler_libvirt.hosts import driver, orders
from scaler_libvirt.machine.identity import digest, new_uuid

if TYPE_CHECKING:
    from collections.abc import Callable


def plant(name: str) -> None:
    """Have this process do it wrong."""
    BUGS[name]()


def _delete_before_deliver() -> None:
    """The message is deleted at the source before its effect is durable."""
    received: Any = Listener._received

    async def wrong(self: Any, session: Any, place: Any, message: Any, deletions: Any) -> Any:
        await session.delete_message(message.id)
        return await received(self, session, place, message, deletions)

    _set(Listener, "_received", wrong)


def _destroy_without_unregister() -> None:
    """A runner's machine is destroyed, and nobody asked the source."""

    async def wrong(self: Any, name: str, ref: str = "") -> None:
        del self, name, ref

    _set(Runners, "remove", wrong)


def _forget_row_before_destroy() -> None:
    """The row goes, and the machine is thought to have gone."""

    def wrong(connection: Any, scaler: str, runner: int, **more: Any) -> int:
        del connection, scaler, runner, more
        return 1

    _set(driver, "destroy", wrong)
    _set(driver, "list_ours", lambda connection, scaler: [])


def _remake_same_id() -> None:
    """A runner's machine is made again, beside the first one."""
    create: Any = driver.create

    def wrong(connection: Any, xml: str, name: str, uuid: str, identity: Any) -> Any:
        other = new_uuid()
        again = xml.replace(f"<name>{name}", f"<name>{name}-2").replace(uuid, other)
        create(connection, again, f"{name}-2", other, identity)
        return create(connection, xml, name, uuid, identity)

    _set(driver, "create", wrong)


def _give_another_config() -> None:
    """The machine is made with a config that was not issued to its runner."""
    _set(orders, "digest", lambda config: digest(f"{config} of another"))


def _replace_on_adoption() -> None:
    """A machine that is found is not adopted but replaced, busy or not."""
    list_ours: Any = driver.list_ours

    def wrong(connection: Any, scaler: str) -> Any:
        for seen in list_ours(connection, scaler):
            connection.lookupByUUIDString(seen.uuid).destroy()
        return []

    _set(driver, "list_ours", wrong)


def _set(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


BUGS: dict[str, Callable[[], None]] = {
    "delete-before-deliver": _delete_before_deliver,
    "destroy-without-unregister": _destroy_without_unregister,
    "forget-row-before-destroy": _forget_row_before_destroy,
    "remake-same-id": _remake_same_id,
    "give-another-config": _give_another_config,
    "replace-on-adoption": _replace_on_adoption,
}
