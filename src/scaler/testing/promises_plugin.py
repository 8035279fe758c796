"""What every plugin promises."""

from __future__ import annotations

from scaler.testing.promises import Promise

BUILT = Promise(
    name="built-from-its-context",
    kind="plugin",
    hook="",
    text="It is built from its context alone.",
    quote="What a plugin is built with: its settings, its folder, its log, and the way up to the "
    "core.",
    where="scaler.Context",
)
STARTS = Promise(
    name="starts",
    kind="plugin",
    hook="run_service",
    text="Its service calls `started()` within 30 s.",
    quote="Call `task_status.started()` when the plugin's other hooks can be called (within 30 s; "
    "the other side being down is no reason to wait: report it and keep trying).",
)
STAYS_UP = Promise(
    name="stays-up",
    kind="plugin",
    hook="run_service",
    text="Its service does not end in an error, whatever its hooks are asked.",
    quote="An error restarts it after 1 s, doubling to 60 s, and shows the plugin as degraded "
    "meanwhile; `Unavailable` is told in one line, anything else with its traceback.",
)
STOPS = Promise(
    name="stops",
    kind="plugin",
    hook="run_service",
    text="Its service returns within 10 s after `context.stopping` was set.",
    quote="When `context.stopping` is set, finish what is in hand and return within the settings' "
    "`shutdown_grace`; then it is cancelled.",
)
ENDS = Promise(
    name="ends-when-cancelled",
    kind="plugin",
    hook="",
    text="A service or a hook that is cancelled ends within 10 s.",
    quote="the call is cancelled, has 10 s to end, and is left behind if it goes on",
)
NO_FAULT = Promise(
    name="no-fault",
    kind="plugin",
    hook="",
    text="A hook answers in time and of its type, or raises an expected outcome.",
    quote="Anything else, a wrong type, or a missed deadline is a fault; after five in a row the "
    "core leaves that hook of that plugin alone for 60 s",
)
LOOP_FREE = Promise(
    name="loop-free",
    kind="plugin",
    hook="",
    text="No hook that is `async def` holds the event loop up for 1 s, time and again: what blocks "
    "belongs in a plain function or a thread of its own.",
    quote="An `async def` shares the thread of the whole scaler: it awaits whatever takes long, "
    "and does what blocks in `trio.to_thread`.",
)
SECRETS = Promise(
    name="secrets-kept",
    kind="plugin",
    hook="",
    text="No registration's config stands in an answer, a report, evidence or the log.",
    quote="Hand it on only to who must have it.",
    where="scaler.Secret.reveal",
)
CHECK_CHANGES_NOTHING = Promise(
    name="check-changes-nothing",
    kind="plugin",
    hook="check",
    text="`check` changes nothing, with the service running or without.",
    quote="change nothing, and touch nothing that they use or wait for",
)
CHECK_SAYS_HOW = Promise(
    name="check-says-how-to-mend",
    kind="plugin",
    hook="check",
    text="What `check` finds wrong comes with how to mend it.",
    quote="Each `Finding` that is not ok says how to mend it, and by `need` what follows.",
)
CHANGES_OF_NOTHING = Promise(
    name="told-of-nothing-waits-for-nothing",
    kind="plugin",
    hook="on_settings_changed",
    text="Told of a change of nothing, it says that nothing waits for a restart.",
    quote="All of its settings as they are now that counts only after a restart, each as `key "
    "path: why`; mostly nothing.",
)

PLUGIN = (
    *(BUILT, STARTS, STAYS_UP, STOPS, ENDS, NO_FAULT, LOOP_FREE, SECRETS),
    *(CHECK_CHANGES_NOTHING, CHECK_SAYS_HOW, CHANGES_OF_NOTHING),
)
