"""Guests, known by their secret or their address: what each may fetch, and for how long."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import stat
from typing import TYPE_CHECKING, NoReturn

import trio

from scaler.errors import GuestAmbiguous, GuestNotReady, GuestUnknown, GuestUsed
from scaler.ledger.ledger import LedgerError
from scaler.model.addresses import normal
from scaler.model.lifecycle import FETCHED
from scaler.model.row import Fetched
from scaler.records import RunnerState

if TYPE_CHECKING:
    from scaler.engine.state import State
    from scaler.model.row import Row
    from scaler.records import Machine
    from scaler.units import Secret

READERS = 4  # files that are read at the same time, at most
PATIENCE = 5.0  # seconds that a file may take
LARGEST = 1 << 20  # bytes of a boot script
LOOKS = 0.1  # seconds between two looks at all rows for strangers; no machine starts as fast
AGAIN = 2.0  # seconds after which a guest that came too early is to ask again

_LEAVING = (RunnerState.RETIRING, RunnerState.GONE)
_STARTING = (RunnerState.REGISTERED, RunnerState.BOOTING)


class Guests:
    """Who asks, and what it is given.

    A machine that has a key is known by the secret behind it alone, one without by its address
    alone. A machine that runs has its claim on an address even while its runner is retiring:
    nobody else is taken for it.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._readers = trio.CapacityLimiter(READERS)
        self._troubles: dict[str, str] = {}  # by profile, why its boot script cannot be read
        self._unwritten: set[int] = set()  # whose first fetch is perhaps not in the ledger
        self._looked = -math.inf  # when it was looked whether one may be known soon
        self._coming = (False, False)

    def find(self, address: str, secret: str | None) -> KnownGuest:
        """See `Context.guest`."""
        if secret is not None:
            # (what is looked up is a digest: how long that takes tells nothing of the secret)
            digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass"))
            found = self._by_key(digest.hexdigest())
        else:
            found = self._by_address(normal(address))
        if found is None:
            self._nobody(address, keyed=secret is not None)
        return found

    def _by_key(self, key: str) -> KnownGuest | None:
        runner_id = self._state.index.by_key.get(key)
        if runner_id is not None:
            return self._of_row(self._state.rows[runner_id])
        for machine in self._state.builders.values():
            if machine.key == key:
                return KnownGuest(self, machine.profile, None, machine.id)
        return None

    def _by_address(self, address: str) -> KnownGuest | None:
        rows = self._state.rows
        claims = [
            self._of_row(rows[runner_id])
            for runner_id in self._state.index.by_address.get(address, ())
            if not rows[runner_id].destroyed
        ]
        claims += [
            KnownGuest(self, machine.profile, None, machine.id)
            for machine in self._state.builders.values()
            if not machine.key and address in map(normal, machine.addresses)
        ]
        if len(claims) > 1:
            raise GuestAmbiguous(f"{len(claims)} machines have the address {address}")
        return claims[0] if claims else None

    def _of_row(self, row: Row) -> KnownGuest:
        machine = row.runner.machine
        return KnownGuest(self, row.runner.profile, row.runner.id, machine.id if machine else "")

    def _nobody(self, address: str, *, keyed: bool) -> NoReturn:
        """Say whether it may be a guest of which too little is known yet."""
        now = self._state.clock.now()
        if now - self._looked >= LOOKS:  # not at every row for every stranger
            self._looked, self._coming = now, self._look()
        being_made, nameless = self._coming
        if being_made or (nameless and not keyed):
            raise GuestNotReady("a machine that just started is not known well enough yet", AGAIN)
        if keyed:
            raise GuestUnknown("no machine is known by this key")
        raise GuestUnknown(f"no machine is known by the address {address}")

    def _look(self) -> tuple[bool, bool]:
        """Whether a machine is being made, and whether one starts whose addresses are not known."""
        runners = [row.runner for row in self._state.rows.values()]
        starting = [runner.machine for runner in runners if runner.state in _STARTING]
        machines = [*starting, *self._state.builders.values()]
        return (
            any(machine is None for machine in machines),
            any(_is_nameless(machine) for machine in machines if machine is not None),
        )

    # -- what a guest is given

    def _note(self, guest: KnownGuest, what: str) -> None:
        """It asked for this: whoever waits for a sign of life sees it."""
        asked = self._state.asked
        before = asked.get(guest.machine, frozenset())
        if what not in before:
            asked[guest.machine] = before | {what}
            self._state.shown()

    def _builds(self, guest: KnownGuest) -> bool:
        """Whether it is a builder that is still there."""
        return guest.runner is None and any(
            machine_id == guest.machine for _, machine_id in self._state.builders
        )

    def row(self, guest: KnownGuest) -> Row:
        """The row of a guest that is still the same machine.

        Raises:
            GuestUsed: It is on its way out.
        """
        row = self._state.rows.get(guest.runner) if guest.runner is not None else None
        machine = row.runner.machine if row is not None else None
        if row is None or machine is None or machine.id != guest.machine:
            raise GuestUsed("this machine is gone")
        if row.runner.state in _LEAVING or machine.state != "running":
            raise GuestUsed("this runner is being retired")
        return row

    async def registration(self, guest: KnownGuest) -> Secret:
        """See `Guest.registration`."""
        if guest.runner is None:
            if self._builds(guest):
                self._note(guest, "registration")
            raise GuestUnknown("this machine makes an image: it has no registration")
        row = self.row(guest)
        self._note(guest, "registration")
        config = self._config(row)
        if row.fetched is None:
            self._unwritten &= self._state.rows.keys()
            self._unwritten.add(row.runner.id)
            self._state.apply(row.runner.id, Fetched())
        if row.runner.id in self._unwritten:
            try:
                await self._state.keep(self._state.rows[row.runner.id])
            except LedgerError as error:
                raise GuestNotReady("it cannot be written down now", AGAIN) from error
            self._unwritten.discard(row.runner.id)
            config = self._config(self.row(guest))  # much can have happened meanwhile
        return config

    def _config(self, row: Row) -> Secret:
        """A runner's config, as long as its guest may ask for it."""
        state, runner = self._state, row.runner
        if runner.machine is not None and runner.machine.delivered:
            raise GuestUsed("the config was put into this machine already")
        if runner.registration is None:
            raise GuestNotReady("this runner is being registered", AGAIN)
        over = row.fetched is not None and state.clock.now() - row.fetched >= FETCHED
        if row.config is None or over:
            raise GuestUsed("this runner had its config already")
        expires = runner.registration.expires
        if expires is not None and expires <= state.clock.wall():
            raise GuestUsed("the config of this runner has expired")
        return row.config

    async def boot(self, guest: KnownGuest) -> str:
        """See `Guest.boot`."""
        if guest.runner is not None:
            self.row(guest)
        if guest.runner is not None or self._builds(guest):
            self._note(guest, "boot")
        profile = self._state.profiles.get(guest.profile)
        if profile is None or not profile.boot_script:
            raise GuestUnknown(f"profile {guest.profile} has no boot script")
        try:
            with trio.fail_after(PATIENCE):
                text = await trio.to_thread.run_sync(
                    _read, profile.boot_script, abandon_on_cancel=True, limiter=self._readers
                )
        except (OSError, ValueError, trio.TooSlowError) as error:
            self._trouble(profile.name, profile.boot_script, error)
            raise GuestNotReady("the boot script cannot be read now", AGAIN) from error
        if self._troubles.pop(profile.name, None) is not None:
            self._state.event("its boot script can be read again", profile=profile.name)
            self._state.shown()
        return text

    def _trouble(self, profile: str, path: str, error: Exception) -> None:
        """Say so to people: the guest is not one, and cannot mend it."""
        why = getattr(error, "strerror", None) or str(error) or f"took over {PATIENCE:g} s"
        if self._troubles.get(profile) == why:
            return  # guests ask again and again
        self._troubles[profile] = why
        self._state.event(
            f"boot_script {path} of {profile} cannot be read: {why}",
            profile=profile,
            level=logging.ERROR,
        )
        self._state.shown()


class KnownGuest:
    """See `Guest`; `machine` is the id of its machine."""

    def __init__(self, guests: Guests, profile: str, runner: int | None, machine: str) -> None:
        self._guests = guests
        self.profile = profile
        self.runner = runner
        self.machine = machine

    async def boot(self) -> str:
        """See `Guest.boot`."""
        return await self._guests.boot(self)

    async def registration(self) -> Secret:
        """See `Guest.registration`."""
        return await self._guests.registration(self)


def _is_nameless(machine: Machine) -> bool:
    return machine.state == "running" and not machine.key and not machine.addresses


def _at_once(path: str, flags: int) -> int:
    """Open it; a pipe would make whoever does so wait for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read(path: str) -> str:
    """A text file of a bearable size.

    Raises:
        OSError, ValueError: It is none.
    """
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a file")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
