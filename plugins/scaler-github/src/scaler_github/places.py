"""Where a runner is registered: with which scope, by which number, and by which source.

A runner is removed where it was made, also after its profile has changed its connection, or the
connection its url: the number alone would name someone else's runner in another scope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from scaler import Unavailable

if TYPE_CHECKING:
    from scaler import Context, Runner
    from scaler_github.account import Account, Accounts


class _Own(Protocol):
    @property
    def connection(self) -> str: ...


def to_ref(account: Account, number: int) -> str:
    """What names a runner for ever: `HOST/SCOPE/NUMBER`, such as `github.com/orgs/acme/7`."""
    return f"{account.scope.place}/{number}"


def number_in(account: Account, ref: str) -> int | None:
    """The runner's number, where the ref is one of this account's scope."""
    place, _, number = ref.rpartition("/")
    return int(number) if place == account.scope.place and number.isdigit() else None


def place_of(accounts: Accounts, own: _Own | None, runner: Runner) -> list[Account]:
    """The accounts that may know a runner.

    Args:
        own: The settings of its profile; None where the profile is not in the settings any more.

    Raises:
        Unavailable: The scope that it was registered with is not in the settings any more, and its
            machine may still run a job. (Without a machine it is of no use, and GitHub removes it
            within a day: then there is none.)
    """
    ref = runner.registration.ref if runner.registration else ""
    place = ref.rpartition("/")[0]
    if place:
        found = [account for account in accounts if account.scope.place == place]
        if found or runner.machine is None or runner.machine.state == "stopped":
            return found[:1]
        raise Unavailable(
            f"it was registered with {place}, which no connection of the settings is about any "
            "more: add one until it is gone",
            60,
        )
    return list(accounts) if own is None else [accounts[own.connection]]


def is_ours(context: Context[Any, Any], name: str) -> bool:
    """Whether a runner of this scaler is this plugin's, or that of a profile that is no more."""
    profile = context.profiles.get(name.rpartition("@")[0].rpartition(".")[0])
    return profile is None or profile.source == context.name
