"""The plugin: a request is validated, weighed, and only then looked up at GitHub."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from scaler import Duration, Finding, Refused, SettingsError, Unavailable, hookimpl
from scaler_github import setup
from scaler_github.client import GitHubError, Kind
from scaler_github.client.artifacts import RestArtifacts
from scaler_github.connection import GitHub
from scaler_github.selecting import query as queries
from scaler_github.selecting.codes import Code, refused
from scaler_github.selecting.looking import NotShown, Rules, proven
from scaler_github.selecting.spending import Spending

if TYPE_CHECKING:
    from scaler import Context, Selection, SelectionRequest, SettingsChange
    from scaler_github.account import Account
    from scaler_github.selecting.query import Query

AGE = Duration(300)
PATIENCE = 12.0  # seconds for all that is asked: the hook has 15
_AGAIN = 5.0  # seconds to wait where GitHub did not say how long
_OLDEST = Duration(86400)
_MOST_RUNNERS = 1000
# What GitHub allows in the name of an artifact, and little of it
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")
_EVENT = re.compile(r"[a-z_]{1,50}")


class ArtifactSelect:
    """Selects runners for whoever shows, by an artifact, to be in a run of a trusted repository.

    A proof says no more than "some job of run R of repository X": any job of a run can make any
    artifact, a fork's pull request too. It costs two calls of the REST API, three where events or
    the run's state are looked at; that is why the latter is not done unless it is asked for.
    """

    api = "1.0"

    @dataclass(frozen=True)
    class Config:
        """`[plugins.artifact-select]`.

        Attributes:
            allowed_repos: Whose runs may select runners: `"OWNER/*"` or `"OWNER/NAME"`, compared
                whole and without case.
            artifact_max_age: How old an artifact may be, by GitHub's clock; `24h` at most.
            artifact_prefix: What the artifact's name begins with, before the request's unique_id.
            connection: Which account of `[plugins.github.connections]` reads artifacts; the first
                where left out.
            max_count: How many runners one request may ask for.
            per_run_limit: How many reservations one run may be granted within an hour.
            allowed_events: Which events' runs may select runners, such as `"push"`; all where left
                out, also a fork's pull request. Costs a call more, and the run must be in progress.
            require_run_in_progress: Whether the run must be in progress. Costs a call more.
        """

        allowed_repos: tuple[str, ...]
        artifact_max_age: Duration = AGE
        artifact_prefix: str = "servo-ci-runners_"
        connection: str = ""
        max_count: int = 16
        per_run_limit: int = 20
        allowed_events: tuple[str, ...] = ()
        require_run_in_progress: bool = False

        def __post_init__(self) -> None:
            if not self.allowed_repos:
                raise ValueError('allowed_repos: found none, wanted some such as "acme/*"')
            try:
                queries.check_allowed(self.allowed_repos)
            except ValueError as error:
                raise ValueError(f"allowed_repos: {error}") from None
            if not 0 < self.artifact_max_age <= _OLDEST:
                found = f"found {self.artifact_max_age}"
                raise ValueError(
                    f"artifact_max_age: {found}, wanted more than 0s, {_OLDEST} at most"
                )
            if not _PREFIX.fullmatch(self.artifact_prefix):
                wanted = "wanted letters, digits, dots, _ and -, 100 at most"
                raise ValueError(f'artifact_prefix: found "{self.artifact_prefix}", {wanted}')
            if not 1 <= self.max_count <= _MOST_RUNNERS:
                raise ValueError(f"max_count: found {self.max_count}, wanted 1 to {_MOST_RUNNERS}")
            if self.per_run_limit < 1:
                raise ValueError(f"per_run_limit: found {self.per_run_limit}, wanted 1 or more")
            for event in self.allowed_events:
                if not _EVENT.fullmatch(event):
                    wanted = "wanted the name of an event, such as push or pull_request"
                    raise ValueError(f'allowed_events: found "{event}", {wanted}')

    def __init__(self, context: Context[Config, None]) -> None:
        self._context = context
        self._spending = Spending(context.config.per_run_limit)
        self._blind = False  # whether GitHub said last that artifacts may not be read

    @property
    def _rules(self) -> Rules:
        config = self._context.config
        return Rules(
            prefix=config.artifact_prefix,
            age=float(config.artifact_max_age),
            most=config.max_count,
            running=config.require_run_in_progress,
            events=config.allowed_events,
        )

    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        """Judge by the new limits; what runs have spent is not forgotten."""
        self._spending.renew(self._context.config.per_run_limit)
        if change.config:
            try:
                self._report_well(self._account)
            except SettingsError as error:  # (refused before, wherever settings are tried)
                self._context.report(str(error), ok=False)
        return []

    def validate(self) -> None:
        """See that the connection is there. Nothing is asked of GitHub.

        Raises:
            SettingsError: It is not.
        """
        _ = self._account

    @property
    def _account(self) -> Account:
        name = self._context.name
        try:
            accounts = self._context.plugin(GitHub).accounts
        except LookupError:
            raise SettingsError([f"plugins.{name}: it needs [plugins.github]"]) from None
        accounts.check({f"plugins.{name}.connection": self._context.config.connection})
        return accounts[self._context.config.connection]

    @hookimpl
    async def run_service(self, task_status: trio.TaskStatus[None]) -> None:
        """See that there is an account to ask with; there is nothing else to run."""
        self._report_well(self._account)
        task_status.started()
        await self._context.stopping.wait()

    def _report_well(self, account: Account) -> None:
        self._blind = False
        where = ", ".join(self._context.config.allowed_repos)
        self._context.report(f"runners may be selected by runs of {where}, read by {account}")

    @hookimpl
    async def check(self) -> list[Finding]:
        """Whether the account may read artifacts, as far as that can be seen without a run."""
        return await setup.artifacts(self._account, self._context.config.allowed_repos)

    @hookimpl
    async def select_runner(self, request: SelectionRequest) -> Selection | None:
        """Look the request's artifact up.

        Raises:
            Refused: No; the code is one of `codes.Code`.
            Unavailable: GitHub cannot be asked now, or not so often.
        """
        query = queries.read(request)
        if not queries.allowed(query, self._context.config.allowed_repos):
            raise refused(Code.REPO)
        known = self._spending.known(query)
        if known is not None:
            return known
        self._spending.check(query)
        try:
            with trio.move_on_after(PATIENCE) as patience:
                return await self._look(query)
        except Refused as no:
            self._spending.refused(query, no)
            self._context.log.info("%s, run %s: %s", *query.run, no)
            raise
        except NotShown as error:
            # What GitHub says of the credential is nobody's business but the operator's
            self._blind = True
            self._context.report(
                f"artifacts of {query.repository} cannot be read: {error}", ok=False
            )
            text = f"the scaler may not read artifacts of {query.repository}: see its dashboard"
            raise Unavailable(text, _AGAIN) from None
        except GitHubError as error:
            # A limit that is reached is told once for all, and strangers would write it here
            level = logging.DEBUG if error.kind is Kind.WAIT else logging.WARNING
            self._context.log.log(level, "%s, run %s: %s", *query.run, error)
            raise Unavailable(str(error), error.wait or _AGAIN) from None
        assert patience.cancelled_caught
        raise Unavailable(f"GitHub did not answer within {PATIENCE:g} s", _AGAIN)

    async def _look(self, query: Query) -> Selection:
        async with self._account.open() as account:
            artifacts = RestArtifacts(account.rest)
            profiles = self._context.profiles
            try:
                selection, left = await proven(artifacts, query, self._rules, profiles)
            except Refused:
                self._saw(account)
                raise
            self._saw(account)
        self._spending.granted(query, selection, left)
        return selection

    def _saw(self, account: Account) -> None:
        """GitHub answered: also a no is one that the credential was let in for."""
        if self._blind:
            self._report_well(account)
