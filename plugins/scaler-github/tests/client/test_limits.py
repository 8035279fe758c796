"""Rate limits: learnt, kept by all callers, with a reserve for runners; on a clock that jumps."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from scaler_github.client import GitHubError, Kind, Limits, Purpose, Verdict
from scaler_github.client.limits import REGISTRATION

NOW = 1_795_291_200.0


def told(
    remaining: int, *, limit: int = 5000, left: float = 1800, resource: str = "core"
) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(NOW + left)),
        "x-ratelimit-resource": resource,
    }


async def refusal(limits: Limits, method: str = "GET", **options: object) -> Verdict:
    with pytest.raises(GitHubError) as caught:
        await limits.admit(method, **options)  # type: ignore[arg-type]
    assert caught.value.kind is Kind.WAIT
    return caught.value.verdict


async def test_without_limits_nothing_is_held_back(autojump_clock: MockClock) -> None:
    limits = Limits()
    for _ in range(2000):
        await limits.admit("POST", Purpose.ROUTINE)
    assert trio.current_time() == 0
    assert limits.facts() == {}


async def test_what_is_used_up_is_waited_for_until_its_reset(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(1, left=600), NOW)
    await limits.admit("POST")  # the last one, and counted although its answer is not here yet
    assert (await refusal(limits, "POST")).wait == pytest.approx(600)
    await limits.admit("POST", resource=REGISTRATION)  # which is another resource
    await trio.sleep(601)
    await limits.admit("POST")


async def test_the_last_fifth_is_kept_for_runners(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(1000), NOW)
    verdict = await refusal(limits, purpose=Purpose.ROUTINE)
    assert "the last 1000 of 5000 are kept for runners" in verdict.text
    await limits.admit("POST", Purpose.PROVISIONING)
    limits.heard(told(1001, left=5400), NOW)  # the next hour's count
    await limits.admit("GET", Purpose.ROUTINE)


async def test_answers_that_overtake_each_other_never_raise_what_is_left(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    for remaining in (100, 90, 95):
        limits.heard(told(remaining), NOW)
    assert limits.facts()["rate_limits"]["core"]["remaining"] == 90


async def test_a_secondary_limit_holds_for_every_resource(autojump_clock: MockClock) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "too quick", 90, told=True)
    limits.refused(verdict, {"retry-after": "90", **told(4000)}, trio.current_time())
    for resource in ("core", REGISTRATION):
        assert (await refusal(limits, resource=resource)).wait == pytest.approx(90)
    assert limits.shut_for() == pytest.approx(90)
    await trio.sleep(91)
    await limits.admit("GET")


async def test_a_primary_limit_holds_for_its_own_resource(autojump_clock: MockClock) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "used up", 700, told=True)
    limits.refused(verdict, told(0, resource=REGISTRATION), trio.current_time())
    assert (await refusal(limits, resource=REGISTRATION)).wait == pytest.approx(700)
    await limits.admit("GET")


async def test_waits_that_are_not_told_double_and_start_anew_after_a_success(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    verdict = Verdict(Kind.WAIT, "secondary", 60)
    waits = []
    for _ in range(8):
        waits.append(limits.refused(verdict, {}, trio.current_time()).wait)
        await trio.sleep(waits[-1] + 1)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    limits.succeeded()
    assert limits.refused(verdict, {}, trio.current_time()).wait == 60


async def test_calls_that_were_under_way_are_refused_as_one(autojump_clock: MockClock) -> None:
    limits = Limits()
    await trio.sleep(5)
    sent = trio.current_time()
    await trio.sleep(1)
    verdict = Verdict(Kind.WAIT, "secondary", 60)
    assert {limits.refused(verdict, {}, sent).wait for _ in range(50)} == {60}


async def test_points_of_a_minute_are_spread_and_not_passed(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(4900), NOW)
    times = []
    for number in range(181):  # five points each
        if number == 90:
            await trio.sleep(30)
        await limits.admit("POST")
        times.append(trio.current_time())
    assert (times[0], times[89], times[179]) == (0, 0, 30)
    assert times[180] == pytest.approx(60, abs=1)


async def test_routine_leaves_points_to_runners_and_is_refused_when_it_takes_long(
    autojump_clock: MockClock,
) -> None:
    limits = Limits()
    limits.heard(told(4900), NOW)
    for _ in range(720):
        await limits.admit("GET", Purpose.ROUTINE)
    assert "spent" in (await refusal(limits, purpose=Purpose.ROUTINE)).text
    await limits.admit("POST")


async def test_another_token_has_its_own_limits(autojump_clock: MockClock) -> None:
    limits = Limits()
    limits.heard(told(0), NOW)
    limits.refused(Verdict(Kind.WAIT, "x", 3000, told=True), {"retry-after": "3000"}, 0)
    await refusal(limits)
    limits.forget()
    await limits.admit("GET")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "x", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "5"},
        {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "", "x-ratelimit-reset": "5"},
        {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-limit": "\u0663", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9"},
    ],
)
async def test_headers_that_tell_nothing(
    autojump_clock: MockClock, headers: dict[str, str]
) -> None:
    limits = Limits()
    limits.heard(headers, NOW)
    await limits.admit("GET", Purpose.ROUTINE)
    assert limits.facts() == {}
