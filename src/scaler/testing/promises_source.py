"""What a source promises."""

from __future__ import annotations

from scaler.testing.promises import Promise

REGISTERS = Promise(
    name="registers",
    kind="source",
    hook="register_runner",
    text="A runner is registered under its own name, and its machine is given a config.",
    quote="Its `name`, the source's own `ref` to it, the `config` that its machine needs to join, "
    "and when that `expires`, where known.",
)
LEFTOVER = Promise(
    name="leftover-resolved",
    kind="source",
    hook="register_runner",
    text="A name that is registered already is registered again, once, and goes as any other.",
    quote="A name that exists already is a leftover of an attempt whose answer was lost: resolve "
    "it here.",
)
REGISTER_CUT = Promise(
    name="register-cut-short",
    kind="source",
    hook="register_runner",
    text="Wherever it is broken off, `unregister_runner` leaves nothing of it. (An `async` hook is "
    "cancelled at each await, a plain one is abandoned at several times.)",
    quote="Any error, or a missed deadline, retires this runner (so `unregister_runner` follows), "
    "and another one with a new id is planned.",
)
UNREGISTERS = Promise(
    name="unregisters",
    kind="source",
    hook="unregister_runner",
    text="What was unregistered is not listed any more.",
    quote="Nothing: having returned, it says that the registration is gone.",
)
THAT_ONE = Promise(
    name="unregisters-that-one",
    kind="source",
    hook="unregister_runner",
    text="Nobody else's registration goes with it.",
    quote="Make the registration gone; a registration that never was is gone too.",
)
GONE_IS_GONE = Promise(
    name="gone-is-gone",
    kind="source",
    hook="unregister_runner",
    text="What is unregistered already, or never was registered, is unregistered without an error.",
    quote="Make the registration gone; a registration that never was is gone too.",
)
BY_NAME = Promise(
    name="unregisters-by-name",
    kind="source",
    hook="unregister_runner",
    text="It is enough to know the name: after a crash, and without the registration.",
    quote="`runner.registration` may be None: it must work from `runner.name` alone.",
)
UNREGISTER_CUT = Promise(
    name="unregister-cut-short",
    kind="source",
    hook="unregister_runner",
    text="Wherever it is broken off, calling it again leaves nothing.",
    quote="Called on the runner's source before its machine is destroyed, again and again until it "
    "returns.",
)
NOT_OURS_TO_SAY = Promise(
    name="gone-by-itself",
    kind="source",
    hook="unregister_runner",
    text="It tells `gone` of nothing that it removed itself.",
    quote="Never say so of what this call removed.",
)
LISTS = Promise(
    name="lists-all",
    kind="source",
    hook="list_registrations",
    text="All that is registered is listed, once.",
    quote="Every registration named `*@<scaler name>`, with `online` and `busy`: complete, or "
    "raise.",
)
AWAY = Promise(
    name="complete-or-raises",
    kind="source",
    hook="list_registrations",
    text="While its other side cannot be reached it raises; it never answers less than there is.",
    quote="Every registration named `*@<scaler name>`, with `online` and `busy`: complete, or "
    "raise.",
)
ONLY_OURS = Promise(
    name="lists-only-ours",
    kind="source",
    hook="list_registrations",
    text="Another scaler's registrations are not listed, and not touched.",
    quote="Every registration named `*@<scaler name>`, with `online` and `busy`: complete, or "
    "raise.",
)
AFTER_CRASH = Promise(
    name="lists-after-a-crash",
    kind="source",
    hook="list_registrations",
    text="A new instance lists what an instance that crashed had registered.",
    quote="All of them. An empty list says that there is none, and is believed.",
)
RESERVES = Promise(
    name="reserves",
    kind="source",
    hook="reserve_runner",
    text="A reservation is shown, also if it is shown already, or one of the outcomes says why "
    "not.",
    quote="Make what workflows see of this runner equal to the reservation; None takes it back.",
)
TAKES_BACK = Promise(
    name="takes-back",
    kind="source",
    hook="reserve_runner",
    text="None returns: where nothing was reserved, where it was taken back already, and after a "
    "reservation that was broken off or refused.",
    quote="Whatever an error left visible, the core follows it up with None, again and again until "
    "that returns",
)
DELIVERS = Promise(
    name="delivers",
    kind="source",
    hook="",
    text="A job that appears on the other side is delivered.",
    quote="Hand a message to the core: its jobs, its demand, its cursor.",
    where="scaler.Context.deliver",
)
ACQUIRES = Promise(
    name="acquires",
    kind="source",
    hook="acquire_jobs",
    text="Of the jobs that it offered, those that are ours are answered, and no others.",
    quote="Those of them that are ours; they count as assigned from then on.",
)
AGAIN = Promise(
    name="delivers-again",
    kind="source",
    hook="",
    text="What was not taken (`Unavailable`) is delivered again.",
    quote="It could not be made durable: deliver it again.",
    where="scaler.Context.deliver",
)
DURABLE = Promise(
    name="durable-first",
    kind="source",
    hook="",
    text="A job whose delivery never returned is delivered after a crash.",
    quote="When this returns, all of it is durable: only then tell the other side that it was "
    "received.",
    where="scaler.Context.deliver",
)
SAME_JOB = Promise(
    name="same-job-same-id",
    kind="source",
    hook="",
    text="A job has the same id after a crash.",
    quote="Names the job for its whole life, the same in every message about it.",
    where="scaler.Job",
)
MESSAGE_IDS = Promise(
    name="message-ids-last",
    kind="source",
    hook="",
    text="No two messages that say different things have the same id, also after a crash.",
    quote="Unique for ever within this source and profile: a second delivery changes nothing.",
    where="scaler.Message",
)

SOURCE = (
    *(REGISTERS, LEFTOVER, REGISTER_CUT),
    *(UNREGISTERS, THAT_ONE, GONE_IS_GONE, BY_NAME, UNREGISTER_CUT, NOT_OURS_TO_SAY),
    *(LISTS, AWAY, ONLY_OURS, AFTER_CRASH, RESERVES, TAKES_BACK),
    *(DELIVERS, ACQUIRES, AGAIN, DURABLE, SAME_JOB, MESSAGE_IDS),
)
