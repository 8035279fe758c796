"""The images of all hosts: what the plugin asks of them, and what people see and want."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from scaler import Unavailable
from scaler_libvirt.hosts.base import NoImage
from scaler_libvirt.images import model, told
from scaler_libvirt.images.book import Book
from scaler_libvirt.images.recipe import recipes
from scaler_libvirt.images.requests import Answer, Box
from scaler_libvirt.images.site import Site
from scaler_libvirt.images.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from scaler import Context
    from scaler_libvirt.hosts.base import Base
    from scaler_libvirt.images.hosts import BuilderHost
    from scaler_libvirt.images.model import State
    from scaler_libvirt.images.requests import Held, Wish
    from scaler_libvirt.settings import Config, ProfileConfig

PATIENCE = 5.0  # seconds that a file may take
ASKED = 2.0  # seconds between two looks for what people want
CALM = 0.2  # seconds in which changes are gathered
CLEARED = 600.0  # seconds between two looks for answers that nobody fetched
STEPS: dict[str, Callable[[State, str], State]] = {"rebuild": model.rebuild, "back": model.back}


class Images:
    """Builds the images of every profile that has a `source_image`, on every host.

    Args:
        context: The plugin's.
        hosts: What each host can do, by its name.
        wall: Tells Unix seconds.
        in_thread: Does what blocks, one after another; a thread where left out.
    """

    def __init__(
        self,
        context: Context[Config, ProfileConfig],
        hosts: Mapping[str, BuilderHost],
        *,
        wall: Callable[[], float] = time.time,
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None,
    ) -> None:
        self._in_thread = in_thread or partial(
            trio.to_thread.run_sync, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )
        self._context = context
        self._wall = wall
        self._recipes = recipes(context.profiles, context.own)
        self._news = trio.Event()
        self._book = Book(context, list(hosts), list(self._recipes), context.log)
        totals = self._totals()
        self._workers = {
            name: self._worker(name, host, totals.get(name, {})) for name, host in hosts.items()
        }
        self._scopes: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None
        self._serves = False  # whether people are told and heard
        self._box = Box(context.folder / "images")
        self._failed = False  # whether something was wrong with files lately
        self._told = False  # and that it was said

    def _worker(self, name: str, host: BuilderHost, total: Mapping[str, int]) -> Worker:
        site = Site(
            name=name,
            host=host,
            book=self._book,
            context=self._context,
            wall=self._wall,
            changed=self._changed,
        )
        return Worker(site, total=total, recipes=self._recipes)

    def _totals(self) -> dict[str, dict[str, int]]:
        return {host.name: host.total() for host in self._context.config.hosts}

    # -- what the plugin asks

    async def renew(self, hosts: Mapping[str, BuilderHost], leaving: Collection[str] = ()) -> None:
        """Go by the settings as they are now.

        What is being built goes on as it was begun, unless its profile's image is not to be built
        any more or its host is to be left: then it is given up.

        Args:
            hosts: What each host can do; of those that are known already it is not looked at.
            leaving: Those of them that the settings do not have any more.

        Raises:
            Unavailable: What was written down cannot be read or changed now: renew it again.
        """
        wanted = recipes(self._context.profiles, self._context.own)
        await self._book.more(list(hosts), list(wanted))
        for profile in self._recipes.keys() - wanted.keys():
            del self._recipes[profile]
        self._recipes.update(wanted)
        totals = self._totals()
        for name, host in hosts.items():
            if name not in self._workers:
                self._workers[name] = self._worker(name, host, totals.get(name, {}))
                self._begin(name)
            self._workers[name].total = totals.get(name, {})
        await self._serve_people()
        for name, worker in list(self._workers.items()):
            for profile, state in self._book.of(name).items():
                if state.building is not None and (name in leaving or profile not in self._recipes):
                    await self._book.change(name, profile, model.given_up)
            worker.poke()
        self._changed()

    def drop(self, host: str) -> list[str]:
        """The host is left for good; answers the names of the images that stay there."""
        self._scopes.pop(host, trio.CancelScope()).cancel()
        worker = self._workers.pop(host)
        self._changed()
        return [
            worker.volume(profile, number)
            for profile, state in self._book.of(host).items()
            for number in sorted(model.known(state))
        ]

    def base(self, host: str, profile: str) -> Base:
        """What a machine's disk stands on; it is not deleted in the next minutes.

        Raises:
            NoImage: There is none on this host (yet); the text says why.
        """
        base = self._workers[host].base(profile) if profile in self._recipes else None
        if base is None:
            raise NoImage(f"{profile} on {host}: {self.refusal(host, profile)}")
        return base

    def refusal(self, host: str, profile: str) -> str:
        """Why no machine of this profile can be made there, for lack of an image; or empty."""
        if profile not in self._recipes or host not in self._workers:
            return ""
        state = self._book.state(host, profile)
        return told.refusal(state, waits=self._waits(host, profile), now=self._wall())

    def reserved(self, host: str) -> dict[str, int]:
        """What a build takes of a host, or waits for and comes before runners."""
        return dict(self._workers[host].reserved()) if host in self._workers else {}

    def building(self, host: str) -> bool:
        """Whether an image is being built there."""
        return host in self._workers and self._workers[host].building is not None

    def host_changed(self, host: str) -> None:
        """It went up or down, or was looked at."""
        if host in self._workers:
            self._workers[host].poke()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after them all until cancelled; `started` when what was written down is read."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._book.open()
                await self._serve_people()
                for name in self._workers:
                    self._begin(name)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery, self._serves = None, False
            self._scopes.clear()

    def _begin(self, name: str) -> None:
        """Have a host looked after, where it is not."""
        if self._nursery is not None and name not in self._scopes:
            scope = self._scopes[name] = trio.CancelScope()
            self._nursery.start_soon(_within, scope, self._workers[name], name=f"images on {name}")

    async def _serve_people(self) -> None:
        """Where images are built, people want to know, and to have a say."""
        if self._recipes and self._nursery is not None and not self._serves:
            self._serves = True
            await self._file(self._box.make)
            self._nursery.start_soon(self._tell)
            self._nursery.start_soon(self._listen)

    # -- what people see

    def _changed(self) -> None:
        self._news.set()

    def _waits(self, host: str, profile: str) -> str:
        worker = self._workers[host]
        if self._book.state(host, profile).building is not None:
            return worker.trouble
        return worker.trouble or worker.decision.why.get(profile, "")

    async def _tell(self) -> None:
        """Report what changes, and have capacity asked anew where that changes with it."""
        before: Any = None
        while True:
            self._news = trio.Event()
            offer = [
                (self.reserved(host), {each: self.refusal(host, each) for each in self._recipes})
                for host in self._workers
            ]
            if offer != before:
                before = offer
                self._context.capacity_changed()
            rows = [row for profile in self._recipes for row in self._report(profile)]
            rows += [
                told.stray(host, profile, names)
                for host, worker in self._workers.items()
                for profile, names in worker.strays.items()
            ]
            await self._file(partial(self._box.show, {"time": self._wall(), "images": rows}))
            await self._news.wait()
            await trio.sleep(CALM)

    def _report(self, profile: str) -> list[dict[str, Any]]:
        now, good = self._wall(), True
        lines: list[str] = []
        rows: list[dict[str, Any]] = []
        for host, worker in self._workers.items():
            state, waits = self._book.state(host, profile), self._waits(host, profile)
            volumes = {number: worker.volume(profile, number) for number in model.known(state)}
            row = told.row(
                host, state, self._recipes[profile], waits=waits, volumes=volumes, now=now
            )
            rows.append(row)
            lines.append(f"{host}: {row['text']}")
            good = good and row["ok"]
        built = [row["live"]["built"] for row in rows if row["live"] is not None]
        age = {"image_age": max(0.0, now - min(built))} if built else {}
        self._context.report("; ".join(lines), ok=good, profile=profile, images=rows, **age)
        return rows

    # -- what people want

    async def _listen(self) -> None:
        """Carry out what people want, now and for as long as this runs."""
        lock: Held | None = None
        cleared = -CLEARED
        try:
            while True:
                self._failed = False
                if lock is None:
                    await self._file(self._box.make)
                    lock = await self._file(self._box.serve)
                if trio.current_time() - cleared >= CLEARED:
                    cleared = trio.current_time()
                    await self._file(self._box.clear)
                wishes, troubles = await self._file(self._box.wishes) or ([], [])
                for text in troubles:
                    self._context.log.warning("%s", text)
                for wish in wishes:
                    await self._carry_out(wish)
                if not self._failed:
                    self._told = False
                elif lock is not None:  # somebody may have taken the folder away
                    lock.close()
                    lock = None
                await trio.sleep(ASKED)
        finally:
            if lock is not None:
                lock.close()

    async def _carry_out(self, wish: Wish) -> None:
        """Do what is wanted, once; what cannot be written down now is read again."""
        if wish.profile not in self._recipes:
            built = ", ".join(self._recipes)
            lines = [f"there is no image of {wish.profile!r} built here, only of: {built}"]
            await self._file(partial(self._box.done, wish, Answer(ok=False, lines=tuple(lines))))
            return
        hosts = [wish.host] if wish.host else list(self._workers)
        lines, good = [], True
        for host in hosts:
            if host not in self._workers:
                lines.append(f"there is no host {host!r}, only {', '.join(self._workers)}")
                good = False
                continue
            try:
                state = await self._book.change(
                    host, wish.profile, partial(_take, STEPS[wish.action], wish=wish.id)
                )
            except Unavailable as error:
                self._context.log.warning("a wish for %s waits: %s", wish.profile, error)
                return
            except model.CannotGoBackError as error:
                lines.append(f"{host}: {error}")
                good = False
                continue
            lines.append(f"{host}: {_said(wish, state)}")
            self._context.log.info(
                "someone wants the image of %s on %s: %s",
                wish.profile,
                host,
                wish.action,
                extra={"profile": wish.profile},
            )
            self.host_changed(host)
        self._changed()
        await self._file(partial(self._box.done, wish, Answer(ok=good, lines=tuple(lines))))

    async def _file(self, work: Callable[[], Any]) -> Any:
        """Do something with files in a thread; None, and one line in the log, where it fails."""
        try:
            with trio.fail_after(PATIENCE):
                return await self._in_thread(work)
        except (OSError, trio.TooSlowError) as error:
            self._failed = True
            if not self._told:
                self._told = True
                where, why = self._context.folder, f"no answer within {PATIENCE:g} s"
                if isinstance(error, OSError):
                    where, why = error.filename or where, error.strerror or str(error)
                self._context.log.warning(
                    "`scaler images` does not work as it should: %s: %s", where, why
                )
            return None


async def _within(scope: trio.CancelScope, worker: Worker) -> None:
    with scope:
        await worker.run()


def _take(step: Callable[[State, str], State], state: State, *, wish: str) -> State:
    return step(state, wish)


def _said(wish: Wish, state: State) -> str:
    if wish.action == "back":
        assert state.live is not None
        return f"image {state.live.number} is in use again, until another is asked for"
    if state.building is not None:
        return f"image {state.building.number} is being built already"
    return "another image is going to be built"
