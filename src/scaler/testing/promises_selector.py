"""What a selector promises."""

from __future__ import annotations

from scaler.testing.promises import Promise

SELECTS = Promise(
    name="selects",
    kind="selector",
    hook="select_runner",
    text="Who may reserve is given a profile that there is, and one runner of it or more.",
    quote="The profile's key and how many runners of it; None where another plugin may decide.",
)
REFUSES = Promise(
    name="refuses",
    kind="selector",
    hook="select_runner",
    text="Who may not reserve is given nothing: None, `Refused` or `Unavailable`.",
    quote="Authorise a reservation: which profile, how many. None: not mine to decide.",
)
UNPROVEN = Promise(
    name="nothing-is-proven",
    kind="selector",
    hook="select_runner",
    text="Whatever text a request is made of, it is no fault; and one that nobody knows of is not "
    "granted for its looks.",
    quote="Who asks, and for what: text from outside, of which nothing is proven.",
)
AT_ONCE = Promise(
    name="many-at-once",
    kind="selector",
    hook="select_runner",
    text="Who may and who may not are told so also when many others ask at the same time.",
    quote="Asked once for all who ask the same at the same time, and not again once runners were "
    "given.",
)
SELECT_CUT = Promise(
    name="select-cut-short",
    kind="selector",
    hook="select_runner",
    text="A request that was broken off is answered when it comes again. (An `async` hook is "
    "cancelled at each await, a plain one is abandoned at several times.)",
    quote="Asked once for all who ask the same at the same time, and not again once runners were "
    "given.",
)

SELECTOR = (SELECTS, REFUSES, UNPROVEN, AT_ONCE, SELECT_CUT)
