"""What a provisioner promises."""

from __future__ import annotations

from functools import partial

from scaler.testing.promises import Promise

_MAKES = partial(Promise, kind="provisioner", hook="provision_runner")
_DESTROYS = partial(Promise, kind="provisioner", hook="destroy_runner")
_LISTS = partial(Promise, kind="provisioner", hook="list_machines")
_ROOMS = partial(Promise, kind="provisioner", hook="capacity")

_ONE = "Asked twice for the same `runner.id` there is still one machine."
_ID = "The provisioner's own name for it, such as a UUID: another machine, another id."
_NONE = "Leave nothing of the runner's machine; a machine that never was is gone too."
_ALL = "Everything tagged with this scaler's name, builders too: complete, or raise."
_STRANGERS = "must touch nothing that is not tagged with this scaler's name"
_UNKNOWN = "Past its deadline a call's outcome is unknown, and the core compensates"
_THREADS = "plain functions run in a worker thread, one at a time per plugin"

MACHINE = _MAKES(
    name="answers-its-machine",
    text="What it answers is the machine of that runner, in the runner's room, with an id.",
    quote="The machine: the id of its `runner`, the provisioner's own `id`, its `room`;",
)
EXISTS = _MAKES(
    name="exists-when-answered",
    text="A machine that was answered is there: it is listed from then on.",
    quote="Make the runner's machine in `runner.room`; answer it once it exists (not: is online).",
)
ONE = _MAKES(
    name="one-machine",
    text="Asked again for a runner, it answers the machine that is there.",
    quote=_ONE,
)
ONE_AT_ONCE = _MAKES(
    name="one-machine-at-once",
    text="Asked for one runner several times at the same time, it makes one machine.",
    quote=_ONE,
)
ONE_AFTER_CRASH = _MAKES(
    name="one-machine-after-a-crash",
    text="Asked for a runner whose machine an earlier instance made, it answers that one.",
    quote=_ONE,
)
TAGGED = _MAKES(
    name="tagged",
    text="A machine is listed with its runner's id, its runner's name, its profile and its room.",
    quote="Tag the machine with the scaler's name, `runner.id` and `runner.name`.",
)
SAME_ID = _LISTS(
    name="same-machine-same-id",
    text="A machine is listed under the id that it was answered with.",
    quote=_ID,
    where="scaler.Machine",
)
OWN_ID = _MAKES(
    name="another-machine-another-id",
    text="Each machine has an id of its own.",
    quote=_ID,
    where="scaler.Machine",
)
ANY_CONFIG = _MAKES(
    name="any-config",
    text="The machine is made whatever text the config is: all of printable ASCII may be in it.",
    quote="As `register_runner` answered it, its `config` included.",
)
LISTS_ALL = _LISTS(
    name="lists-all",
    text="A list has every machine of this scaler's.",
    quote=_ALL,
)
AWAY = _LISTS(
    name="complete-or-raises",
    text="While its other side cannot be reached it raises; it never answers less than there is.",
    quote=_ALL,
)
LISTS_OURS = _LISTS(
    name="lists-only-ours",
    text="A list has no machine of another scaler's.",
    quote=_ALL,
)
LISTS_AFTER_CRASH = _LISTS(
    name="lists-after-a-crash",
    text="A new instance lists what the one before it made, under the same ids.",
    quote=_ALL,
)
LEAVES_NONE = _DESTROYS(
    name="leaves-none",
    text="A machine that was destroyed is not listed any more, and nothing of it is left.",
    quote=_NONE,
)
NEVER_WAS = _DESTROYS(
    name="never-was",
    text="Destroying the machine of a runner that never had one returns.",
    quote=_NONE,
)
TWICE = _DESTROYS(
    name="destroyed-twice",
    text="Destroying it again returns.",
    quote="Called on the runner's provisioner after its registration is gone, again and again "
    "until it returns.",
)
BY_ID = _DESTROYS(
    name="destroyed-by-id",
    text="An instance that knows of a machine nothing but its runner's id destroys it.",
    quote="`runner.machine` may be None: it must work from `runner.id` alone",
)
NO_OTHER = _DESTROYS(
    name="destroys-no-other",
    text="Destroying one runner's machine leaves the other runners' alone.",
    quote=_NONE,
)
STRANGERS = _DESTROYS(
    name="strangers-left-alone",
    text="A machine of another scaler's is left alone, also one whose runner has the same id.",
    quote=_STRANGERS,
)
CUT = _MAKES(
    name="cancelled-leaves-none",
    text="Cancelled at any await (a plain function: abandoned after any time) and then destroyed, "
    "nothing is left, and nothing comes later.",
    quote=_UNKNOWN,
    where="scaler.hooks",
)
CUT_BY_CRASH = _MAKES(
    name="crashed-leaves-none",
    text="Broken off by a crash, and then destroyed by the next instance, nothing is left.",
    quote=_UNKNOWN,
    where="scaler.hooks",
)
DESTROY_CUT = _DESTROYS(
    name="cancelled-destroy",
    text="Cancelled at any await and then called again, it leaves nothing.",
    quote="Called on the runner's provisioner after its registration is gone, again and again "
    "until it returns.",
)
AT_ONCE = _MAKES(
    name="many-at-once",
    text="Machines of several runners are made, and destroyed, at the same time.",
    quote=_THREADS,
    where="scaler.hooks",
)
RACE = _DESTROYS(
    name="destroyed-while-made",
    text="A machine that is destroyed while it is being made, and once more after, is gone.",
    quote=_UNKNOWN,
    where="scaler.hooks",
)
ROOM_NAMES = _ROOMS(
    name="rooms-have-names",
    text="No two rooms have the same name.",
    quote="Each room by its name, which `runner.room` is then",
)
TOTAL = _ROOMS(
    name="capacity-is-the-total",
    text="A room's total, and what it refuses, is the same whether a machine stands in it or not.",
    quote="The provisioner's rooms: what may be used in all, not what is free.",
)
SCREEN = Promise(
    name="screenshot-is-a-png",
    kind="provisioner",
    hook="screenshot",
    text="A picture of a machine that runs is a PNG of at most 4 MiB, or it is `Unavailable`.",
    quote="A PNG of the machine's screen, of a runner or a builder.",
)

PROVISIONER = (
    *(MACHINE, EXISTS, ONE, ONE_AT_ONCE, ONE_AFTER_CRASH, TAGGED, OWN_ID, ANY_CONFIG, AT_ONCE),
    *(CUT, CUT_BY_CRASH, LEAVES_NONE, NEVER_WAS, TWICE, BY_ID, NO_OTHER, STRANGERS, DESTROY_CUT),
    *(RACE, LISTS_ALL, AWAY, LISTS_OURS, LISTS_AFTER_CRASH, SAME_ID, ROOM_NAMES, TOTAL, SCREEN),
)
