"""The checks of every profile of a queue: runner group, scale set, labels, session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from scaler import Finding
from scaler_github.client import GitHubError, Kind, urls
from scaler_github.setup import scalesets
from scaler_github.setup.findings import wrong
from scaler_github.setup.registering import find_group
from scaler_github.setup.where import PLUGIN, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scaler_github.account import Account
    from scaler_github.client.types import ScaleSet, Session
    from scaler_github.setup.scalesets import Wanted

PATIENCE = 25.0  # seconds for all profiles of an account; the hook has 30
SESSION = 7.0  # seconds to open a session, whatever else ends meanwhile
CLOSING = 5.0  # and to close it
OPENING = 5.0  # seconds that a service which has just started is given to open its sessions
_AT_ONCE = 4


class ScaleSets:
    """Looks at the scale sets of one account.

    Args:
        owner: Whose a session is that is opened.
        listening: Tells of a profile whether its session is open; None where no service runs: then
            sessions are tried out.
    """

    def __init__(
        self, account: Account, owner: str, listening: Callable[[str], bool | None]
    ) -> None:
        self._account = account
        self._where = Where.of(account)
        self._owner = owner
        self._listening = listening
        self._found: dict[str, list[Finding]] = {}
        self._ways: dict[str, GitHubError] = {}
        self._turns = trio.CapacityLimiter(_AT_ONCE)

    async def look(self, wanted: Sequence[Wanted]) -> list[Finding]:
        """What is to be said of each profile, in their order."""
        host = ""
        with trio.move_on_after(PATIENCE) as patience:
            try:
                async with self._account.open():
                    admin = await self._account.credentials.admin()
                    host = urls.host_of(admin.url)
                    async with trio.open_nursery() as nursery:
                        for each in wanted:
                            nursery.start_soon(self._one, each, name=f"check of {each}")
            except (GitHubError, OSError):  # the check of github tells it, and how to mend it
                return [self._not_signed_in(wanted)]
        found = [finding for each in wanted for finding in self._found.get(each.profile, [])]
        if self._ways:
            found.append(scalesets.no_way([*self._ways], host, next(iter(self._ways.values()))))
        done = {*self._found, *self._ways}
        if patience.cancelled_caught and (late := [e for e in wanted if e.profile not in done]):
            if not host:
                return [self._not_signed_in(late)]
            names = ", ".join(each.profile for each in late)
            text = f"not looked at within {PATIENCE:g} s: {names}"
            found.append(wrong(text, f"Try again; {host} is slow."))
        return found

    def _not_signed_in(self, wanted: Sequence[Wanted]) -> Finding:
        """Once for all: it is told at the other plugin, and how to mend it."""
        names = ", ".join(each.profile for each in wanted)
        what = (
            f"the scale set of {names} was"
            if len(wanted) == 1
            else f"the scale sets of {names} were"
        )
        by = f" of connection {self._account.name}" if self._account.name else ""
        return wrong(
            f"{what} not looked at: {PLUGIN}'s check{by} failed",
            "Mend what it found, then check again.",
        )

    async def _one(self, wanted: Wanted) -> None:
        async with self._turns:
            try:
                self._found[wanted.profile] = await self._see(wanted)
            except GitHubError as error:
                if scalesets.is_way(error):
                    self._ways[wanted.profile] = error
                else:
                    self._found[wanted.profile] = [scalesets.unknown(wanted, error)]

    async def _see(self, wanted: Wanted) -> list[Finding]:
        actions = self._account.actions
        group = await find_group(actions, self._where, wanted.group, wanted.table)
        if isinstance(group, Finding):
            return [Finding(ok=False, text=f"{wanted}: {group.text}", fix=group.fix)]
        found = await actions.find_scale_set(wanted.name, group)
        if found is None:
            return [scalesets.absent(wanted)]
        if self._listening(wanted.profile) is None:
            told, more = await self._try_session(wanted, found)
        else:
            told, more = await self._look_at_session(wanted)
        return [*scalesets.present(wanted, found, told), *more]

    async def _look_at_session(self, wanted: Wanted) -> tuple[str, list[Finding]]:
        with trio.move_on_after(OPENING):
            while not self._listening(wanted.profile):  # noqa: ASYNC110 - the listener's to tell
                await trio.sleep(0.1)
        if self._listening(wanted.profile):
            return "its session is open", []
        return "", [scalesets.not_open(wanted)]

    async def _try_session(self, wanted: Wanted, found: ScaleSet) -> tuple[str, list[Finding]]:
        """Open the session and close it again; left open, it would keep a scaler out."""
        if trio.current_effective_deadline() - trio.current_time() < SESSION + CLOSING:
            return "", [scalesets.not_tried(wanted)]
        with trio.CancelScope(shield=True):  # both have ends of their own
            try:
                with trio.fail_after(SESSION):
                    session = await self._account.actions.create_session(found.id, self._owner)
            except GitHubError as error:
                if error.kind is Kind.CONFLICT:
                    return scalesets.held(), []
                # One that broke off on its way may have been heard, unlike one that is refused
                maybe = error.kind is Kind.RETRY
                return "", [scalesets.no_session(wanted, str(error), maybe_open=maybe)]
            except trio.TooSlowError:
                late = f"no answer within {SESSION:g} s"
                return "", [scalesets.no_session(wanted, late, maybe_open=True)]
            why = await self._close_session(found, session)
        return "its session opens", [scalesets.unclosed(wanted, why)] if why else []

    async def _close_session(self, found: ScaleSet, session: Session) -> str:
        """Why it could not be closed; empty where it was."""
        if not session.session_id:
            return "GitHub did not tell its id"
        try:
            with trio.fail_after(CLOSING):
                await self._account.actions.delete_session(found.id, session.session_id)
        except GitHubError as error:
            return str(error)
        except trio.TooSlowError:
            return f"no answer within {CLOSING:g} s"
        return ""
