from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_github.client import Unreadable, types
from scaler_github.client.actions import usable_jit_config
from scaler_github.client.session import QueueMessage, read_message
from scaler_github.client.transport import Response

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def message(**fields: Any) -> QueueMessage:
    whole = {"messageId": 7, "messageType": "RunnerScaleSetJobMessages", "body": "[]", **fields}
    return read_message(Response(200, {}, json.dumps(whole).encode()), "poll")


@settings(max_examples=50)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_message_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert read_message(Response(200, {}, body), "poll").id > 0


@settings(max_examples=50)
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
