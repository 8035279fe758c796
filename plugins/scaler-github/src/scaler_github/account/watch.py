"""What is watched beside the calls: token files, when tokens end, how much may still be asked."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import trio

from scaler_github.client import PersonalToken

if TYPE_CHECKING:
    from scaler import Context
    from scaler_github.account.account import Account, Accounts

LOOK = 10.0  # seconds between two looks
WARN = 14 * 86400.0  # seconds before its end that a token is warned of
_DAY = 86400.0


def days_left(expires: float | None, now: float) -> int | None:
    """Whole days until a token ends, where that is near enough to be warned of."""
    if expires is None or expires - now > WARN:
        return None
    return math.floor((expires - now) / _DAY)


def ending(expires: float, now: float) -> str:
    """When a token ends, for people."""
    day = time.strftime("%Y-%m-%d", time.gmtime(expires))
    left = math.floor((expires - now) / _DAY)
    if expires <= now:
        return f"the token has expired on {day}"
    if left < 1:
        return f"the token expires within a day, on {day}"
    return f"the token expires in {left} day{'' if left == 1 else 's'}, on {day}"


class Watch:
    """Looks at every account, and tells what it sees on the plugin's own line."""

    def __init__(self, context: Context[Any, Any], accounts: Accounts) -> None:
        self._context = context
        self._accounts = accounts
        self._told: object = None
        self._warned: dict[str, int] = {}
        self._changes: dict[str, int] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.now()
            await trio.sleep(LOOK)

    async def now(self) -> None:
        """Look at all of them now, too: files may have changed."""
        for account in self._accounts:
            await self._look(account)
        self._tell()

    def replaced(self, account: Account) -> None:
        """Say that it signs in by another credential."""
        what = "App's key" if account.token.is_app else "token"
        self._context.log.warning("%s: the %s was replaced, and is used now", account, what)

    async def _look(self, account: Account) -> None:
        token = account.token
        if isinstance(token, PersonalToken):
            problem = token.problem
            await token.look()
            if token.changes != self._changes.get(account.name, 0):
                self._changes[account.name] = token.changes
                account.forget()
                account.limits.forget()
                self.replaced(account)
            if token.problem and token.problem != problem:
                text = "%s: the token cannot be read any more, the last one goes on: %s"
                self._context.log.warning(text, account, token.problem)
        left = days_left(account.rest.expires, account.rest.exchange.clock.now())
        if left is None:
            self._warned.pop(account.name, None)
        elif self._warned.get(account.name) != left:  # once a day
            self._warned[account.name] = left
            self._context.log.warning("%s: %s", account, self._ending(account))

    def _ending(self, account: Account) -> str:
        assert account.rest.expires is not None
        return ending(account.rest.expires, account.rest.exchange.clock.now())

    def _tell(self) -> None:
        texts, wrong, facts = [], [], dict[str, Any]()
        for account in self._accounts:
            seen = self._facts(account)
            facts[account.name or "default"] = seen
            prefix = f"{account}: " if account.name else ""
            if problem := seen.get("problem"):
                wrong.append(f"{prefix}{problem}")
            if days_left(account.rest.expires, account.rest.exchange.clock.now()) is not None:
                texts.append(f"{prefix}{self._ending(account)}")
            for which, until in seen.get("waits_until", {}).items():
                when = time.strftime("%H:%M", time.gmtime(until))
                wrong.append(f"{prefix}GitHub's rate limit: {which} wait until {when} UTC")
        line = "; ".join([*wrong, *texts, *map(_way_in, () if wrong else self._accounts)])
        if (line, facts) == self._told:
            return
        self._told = line, facts
        self._context.report(line, ok=not wrong, connections=facts)

    def _facts(self, account: Account) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "scope": str(account.scope),
            "signed_in_as": "a GitHub App" if account.token.is_app else "a token",
            **account.limits.facts(),
        }
        waits = {_calls(key): left for key, left in account.limits.waits().items()}
        for left in account.credentials.service_limits.waits().values():
            waits["calls of the Actions service"] = left
        if waits:
            # To the minute: what is shown is not to change with every look
            now = account.rest.exchange.clock.now()
            until = {which: math.ceil((now + left) / 60) * 60 for which, left in waits.items()}
            facts["waits_until"] = until
        if account.rest.expires is not None:
            facts["token_expires"] = account.rest.expires
        if isinstance(account.token, PersonalToken) and account.token.problem:
            facts["problem"] = account.token.problem
        return facts


def _way_in(account: Account) -> str:
    prefix = f"{account}: " if account.name else ""
    return f"{prefix}{account.scope}, by {'a GitHub App' if account.token.is_app else 'a token'}"


def _calls(resource: str) -> str:
    return f"REST calls ({resource})" if resource else "all REST calls"
