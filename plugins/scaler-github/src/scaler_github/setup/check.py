"""The checks of every account: what is asked, in which order, and what the answers lead to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from scaler import Finding
from scaler_github.client import GitHubError, Kind, TransportError, urls
from scaler_github.client.credentials import TOKEN
from scaler_github.client.limits import REGISTRATION
from scaler_github.setup import owner, registering, signin, way
from scaler_github.setup.asking import Answer, Asker
from scaler_github.setup.findings import AGAIN, required_missing, unseen, wrong
from scaler_github.setup.rights import Signed
from scaler_github.setup.where import Where

if TYPE_CHECKING:
    from scaler import Context
    from scaler_github.account import Account, Accounts

PATIENCE = 25.0  # seconds for one account; the hook has 30


async def check(context: Context[Any, Any], accounts: Accounts) -> list[Finding]:
    """Look at every account at once."""
    looks = [_Look(context, account) for account in accounts]
    async with trio.open_nursery() as nursery:
        for look in looks:
            nursery.start_soon(look.run, name=f"check of {look.account}")
    return [finding for look in looks for finding in look.named()]


class _Look:
    """At one account. What follows from a step that failed is left out."""

    def __init__(self, context: Context[Any, Any], account: Account) -> None:
        self.account = account
        self.found: list[Finding] = []
        self._context = context
        self._where = Where.of(account)
        self._asker = Asker(account)
        self._doing = ""

    def named(self) -> list[Finding]:
        """What was found; of an account that has a name, with it."""
        prefix = f"{self.account}: " if self.account.name else ""
        return [replace(each, text=f"{prefix}{each.text}") for each in self.found]

    async def run(self) -> None:
        """Look, for so long and no longer."""
        with trio.move_on_after(PATIENCE) as patience:
            try:
                async with self.account.open():
                    await self._steps()
            except OSError as error:  # a file of authorities that went since the settings were read
                fix = f"Look at {self._where.setting}.ca_file."
                self._add(wrong(f"no TLS: {error.strerror or error}", fix))
        if patience.cancelled_caught:
            text = f"{self._doing} took too long: after {PATIENCE:g} s the check went no further"
            self._add(wrong(text, "Try again; the network between, or GitHub itself, is slow."))

    def _add(self, *findings: Finding) -> bool:
        """Keep them; whether one may go on."""
        self.found += findings
        return not required_missing(list(findings))

    async def _steps(self) -> None:
        if not self._add(await self._reach()):
            return
        signed = await self._sign_in()
        if signed is None or not await self._see_place(signed):
            return
        if await self._register(signed):
            await self._see_groups()
        self._add(*way.clock(self.account.rest.exchange.clock.ahead))
        if not required_missing(self.found):
            self._add(*self._scarce())

    async def _reach(self) -> Finding:
        self._doing = f"reaching {self._where.api}"
        try:
            return way.answered(self._where, await self._asker.without_token("meta"))
        except TransportError as error:
            return way.unreachable(self._where, str(error))

    async def _sign_in(self) -> Signed | None:
        self._doing = "signing in"
        where, clock = self._where, self.account.rest.exchange.clock
        if where.app is None:
            answer = await self._asker.get("user", "GET /user")
            if self._broken(answer):
                return None
            signed, findings = signin.person(where, answer, clock.now())
            return signed if self._add(*findings) else None
        path = f"app/installations/{urls.segment(where.app.installation_id)}"
        answer = await self._asker.get_as_app(path, f"GET /{path}")
        if self._broken(answer):
            return None
        if answer.status == 404 and await self._has_token():
            answer = replace(answer, status=200, kind=Kind.OK)  # it is not shown, and works
        self._where = where = where.learnt(answer.told.get("account"))
        signed, findings = signin.app(where, answer)
        if not self._add(*findings):
            return None
        return signed

    async def _has_token(self) -> bool:
        try:
            await self.account.token()
        except GitHubError:
            return False
        return True

    async def _see_place(self, signed: Signed) -> bool:
        """The owner, and whether Actions is on; whether one may go on."""
        self._doing = f"looking at {self._where.scope}"
        where, path = self._where, self._where.scope.path
        if where.scope.kind != "enterprise":  # which cannot be asked about, but by its runners
            answer = await self._asker.get(path, f"GET /{path}")
            if self._broken(answer) or not self._add(*signin.installation_token(answer)):
                return False
            if answer.status == 404 and where.scope.kind == "organization":
                name = urls.segment(where.scope.name)
                elsewhere = await self._asker.get(f"users/{name}", f"GET /users/{name}")
                if not self._broken(elsewhere):
                    self._add(*owner.elsewhere(where, elsewhere))
                return False
            self._where = where = where.learnt(answer.told.get("owner"))
            if not self._add(*owner.place(where, signed, answer)):
                return False
        path = f"{path}/actions/permissions"
        answer = await self._asker.get(path, f"GET /{path}")
        return not self._broken(answer) and self._add(*owner.permissions(where, answer))

    async def _register(self, signed: Signed) -> bool:
        self._doing = "registering"
        try:
            await self.account.credentials.admin()
        except GitHubError as error:
            words = Answer()
            if error.kind not in (Kind.RETRY, Kind.WAIT) and error.verdict.step == TOKEN:
                path = f"{self._where.scope.path}/actions/runners/registration-token"
                words = await self._asker.post(path, "registration-token", REGISTRATION)
            return self._add(registering.refused(self._where, signed, error, words))
        return self._add(registering.may_register(self._where, signed))

    async def _see_groups(self) -> None:
        """The runner groups of profiles whose runners are registered by REST."""
        self._doing = "looking up runner groups"
        context, where = self._context, self._where
        ours = {
            profile: own.runner_group
            for profile, own in context.own.items()
            if context.profiles[profile].source == context.name
            and own.connection == self.account.name
        }
        listed = None
        named = any(name.lower() != "default" for name in ours.values())
        if named and where.scope.kind != "repository":
            path = f"{where.scope.path}/actions/runner-groups"
            listed = await self._asker.get(path, f"GET /{path}", per_page=100)
            if self._broken(listed):
                return
        for profile, name in ours.items():
            table = f"profiles.{profile}.{context.name}"
            group = registering.listed_group(where, name, table, listed)
            self._add(replace(group, text=f"profile {profile}: {group.text}"))

    def _broken(self, answer: Answer) -> bool:
        """Whether it says nothing, since it never came or was not asked for: that is told then."""
        if answer.kind is Kind.WAIT:
            if not answer.status and not self.account.limits.waits() and self._scarce():
                self._add(*self._scarce())
                self._add(unseen(f"{self._doing} was left out: it can wait until then"))
            else:
                fix = "Wait; look what else calls GitHub with this credential."
                self._add(wrong(f"GitHub's rate limit is used up: {answer.text}", fix))
            return True
        if answer.kind is not Kind.RETRY:
            return False
        self._add(wrong(f"{self._doing}: {answer.text}", AGAIN))
        return True

    def _scarce(self) -> list[Finding]:
        return owner.scarce(self.account.limits.facts(), self.account.rest.exchange.clock.now())
