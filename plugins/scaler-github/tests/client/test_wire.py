from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_github.client import Unreadable, types
from scaler_github.client.actions import usable_jit_config
from scaler_github.client.message import LARGEST, MOST_JOBS, QueueMessage, read_message
from scaler_github.client.transport import Response

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def message(**fields: Any) -> QueueMessage:
    whole = {"messageId": 7, "messageType": "RunnerScaleSetJobMessages", "body": "[]", **fields}
    return read_message(Response(200, {}, json.dumps(whole).encode()), "poll")


@settings(max_examples=settings().max_examples // 2)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_message_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert read_message(Response(200, {}, body), "poll").id > 0


@settings(max_examples=settings().max_examples // 2)
@given(JSON)
def test_any_list_of_jobs_can_be_read_in_part(value: Any) -> None:
    read = message(body=json.dumps([value, {"messageType": "JobAssigned"}]))
    assert read.whole
    assert len(read.jobs) + len(read.faults) == 2


@given(st.data())
def test_every_cut_of_a_message_is_unreadable(data: st.DataObject) -> None:
    whole = json.dumps({"messageId": 1, "body": "[]", "statistics": {}}).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Unreadable):
        read_message(Response(200, {}, whole[:cut]), "poll")


def test_job_fields_of_all_ages() -> None:
    job = {
        "messageType": "JobCompleted",
        "runnerRequestId": "9007199254740993",
        "jobId": 12,
        "workflowRunId": None,
        "newField": {"a": 1},
        "runnerName": "",
        "result": "canceled",
    }
    [read] = message(body=json.dumps([job])).jobs
    assert (read.runner_request_id, read.job_id, read.workflow_run_id) == (2**53 + 1, "12", 0)


@pytest.mark.parametrize("number", [0, -1, 2**63, "x", 1.5, True, None])
def test_numbers_that_no_message_has(number: object) -> None:
    with pytest.raises(Unreadable):
        message(messageId=number)


HUGE = 10**30


@pytest.mark.parametrize(
    "statistics",
    ["x", 7, [], {"totalAssignedJobs": HUGE}, {"totalAssignedJobs": "x"}, {"new": "1" * 70_000}],
)
def test_jobs_are_read_beside_odd_statistics(statistics: object) -> None:
    read = message(statistics=statistics, body='[{"messageType": "JobAssigned"}]')
    assert (read.id, len(read.jobs), read.whole, read.statistics) == (7, 1, True, None)
    assert "statistics" in read.faults[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"messageType": 5},
        {"messageType": [HUGE]},
        {"body": []},
        {"body": HUGE},
        {"body": {"a": None}},
        {"body": "[" * 100_000 + "]" * 100_000},
        {"body": "[" + " " * LARGEST + "]"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_an_odd_envelope_has_a_number_and_totals(fields: dict[str, Any]) -> None:
    read = message(**fields, statistics={"totalAssignedJobs": 3})
    assert (read.id, read.jobs, read.whole) == (7, (), False)
    assert read.statistics == types.Statistics(total_assigned_jobs=3)
    assert read.faults


@pytest.mark.parametrize(
    "rest",
    [
        b'"x": "\\ud800"',
        b'"statistics": "\\udc00"',
        b'"x": ' + b"[" * 100_000 + b"]" * 100_000,
        b'"x": NaN',
    ],
    ids=lambda rest: str(rest[:20]),
)
def test_what_is_hardly_json_has_a_number(rest: bytes) -> None:
    read = read_message(Response(200, {}, b'{"messageId": 7, ' + rest + b"}"), "poll")
    assert (read.id, read.jobs, read.whole, read.statistics) == (7, (), False, None)
    assert read.faults


@pytest.mark.parametrize("number", [b"1e999", b"1" * 5000])
def test_totals_beyond_any_number_leave_the_jobs(number: bytes) -> None:
    body = b'"body": "[{\\"messageType\\": \\"JobAssigned\\"}]"'
    head = b'{"messageId": 7, "messageType": "RunnerScaleSetJobMessages", '
    tail = b', "statistics": {"totalAssignedJobs": ' + number + b"}}"
    read = read_message(Response(200, {}, head + body + tail), "poll")
    assert (len(read.jobs), read.whole, read.statistics) == (1, True, None)


def test_numbers_in_one_entry_do_not_hide_the_others() -> None:
    odd = {"messageType": "JobAssigned", "runnerRequestId": HUGE}
    deep = json.loads("[" * 700 + "]" * 700)
    good = {"messageType": "JobAssigned", "runnerRequestId": 5}
    read = message(body=json.dumps([odd, {**good, "new": deep}, good]))
    assert read.whole
    assert read.jobs[-1].runner_request_id == 5
    assert read.faults[0].startswith("entry 0")


def test_no_more_than_a_bound_of_jobs_and_faults_is_told() -> None:
    read = message(body=json.dumps([{"messageType": "JobAssigned"}] * (MOST_JOBS + 7)))
    assert len(read.jobs) == MOST_JOBS
    assert read.faults == (f"7 entries after the first {MOST_JOBS} are not looked at",)
    read = message(body=json.dumps([0] * (MOST_JOBS + 7)))
    assert len(read.faults) == 7
    assert f"{MOST_JOBS - 5} more" in read.faults[-2]


def test_statistics_may_be_missing_or_partial() -> None:
    assert message(statistics=None).statistics is None
    read = message(statistics={"totalAssignedJobs": 3, "totalRunningJobs": None})
    assert read.statistics == types.Statistics(total_assigned_jobs=3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-21T20:00:00.1234567Z", 1795291200.123456),
        ("2026-11-21T20:00:00", 1795291200.0),
        ("", None),
        ("soon", None),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    assert types.unix_time(text) == (seconds if seconds is None else pytest.approx(seconds))


@given(st.text())
def test_any_text_is_a_time_or_none(text: str) -> None:
    types.unix_time(text)
    usable_jit_config(text)


@pytest.mark.parametrize(
    ("status", "online"),
    [("online", True), ("Offline", False), (2, True), ("1", False), ("", None), (None, None)],
)
def test_online(status: object, online: bool | None) -> None:
    assert types.convert({"id": 1, "status": status}, types.Agent).online is online


def test_secrets_are_not_in_reprs() -> None:
    session = types.Session(session_id="s", message_queue_access_token="t0ps3cret")
    assert "t0ps3cret" not in repr(session)
    made = types.JitConfig(runner=types.Agent(id=1), encoded_jit_config="t0ps3cret")
    assert "t0ps3cret" not in repr(made)
    assert "t0ps3cret" not in repr(types.AdminConnection(url="u", token="t0ps3cret"))
    assert "t0ps3cret" not in repr(types.RegistrationToken(token="t0ps3cret"))
