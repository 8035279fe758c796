"""Provisioners that make machines well, and tell wrongly of them and of themselves."""

from __future__ import annotations

from dataclasses import replace

import trio
from tests.testing.broken.provisioners import BROKEN, Remembers, breaks
from tests.testing.machines import InMemory

from scaler import Finding, Machine, Room, SettingsChange, hookimpl

__all__ = ["BROKEN"]


@breaks("lists-all")
class FirstPage(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return (await super().list_machines())[:1]


@breaks("lists-only-ours")
class ListsEveryones(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        await trio.sleep(0.01)
        return [*self.world.machines.values()]


@breaks("lists-after-a-crash")
class ListsItsOwn(Remembers):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [each for each in await super().list_machines() if each.runner in self.mine]


@breaks("lists-after-a-crash")
class NamesAnew(Remembers):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        listed = await super().list_machines()
        return [
            each if each.runner in self.mine else replace(each, id=f"{each.id}-again")
            for each in listed
        ]


@breaks("same-machine-same-id")
class TwoNames(InMemory):
    @hookimpl
    async def list_machines(self) -> list[Machine]:
        return [replace(each, id=f"uuid-of-{each.id}") for each in await super().list_machines()]


@breaks("rooms-have-names")
class OneName(InMemory):
    @hookimpl
    async def capacity(self) -> list[Room]:
        await trio.lowlevel.checkpoint()
        return [Room(name="here"), Room(name="here")]


@breaks("capacity-is-the-total")
class WhatIsFree(InMemory):
    @hookimpl
    async def capacity(self) -> list[Room]:
        await trio.lowlevel.checkpoint()
        return [Room(name="here", total={"vcpus": 16 - len(self.world.machines)})]


@breaks("capacity-is-the-total")
class FullOfOne(InMemory):
    @hookimpl
    async def capacity(self) -> list[Room]:
        await trio.lowlevel.checkpoint()
        full = {"linux": "a machine is there"} if self.world.machines else {}
        return [Room(name="here", refuses=full)]


@breaks("screenshot-is-a-png")
class TextMode(InMemory):
    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"login:"


@breaks("screenshot-is-a-png")
class NoScreen(InMemory):
    @hookimpl
    async def screenshot(self, machine: Machine) -> bytes:
        raise KeyError(machine.id)


@breaks("check-changes-nothing")
class Tidies(InMemory):
    @hookimpl
    async def check(self) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        self.world.machines.clear()
        return [Finding(ok=True, text="all is tidy")]


@breaks("check-says-how-to-mend")
class Complains(InMemory):
    @hookimpl
    async def check(self) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        return [Finding(ok=False, text="something is wrong")]


@breaks("told-of-nothing-waits-for-nothing")
class AlwaysRestarts(InMemory):
    @hookimpl
    async def on_settings_changed(self, change: SettingsChange) -> list[str]:
        await trio.lowlevel.checkpoint()
        return ["plugins.here.pool: it is read once"]
