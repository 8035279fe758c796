"""How the world's records look on the wire of the Actions service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from scaler_github.testing.timing import stamp

if TYPE_CHECKING:
    from scaler_github.testing.records import Agent, Job, Message, ScaleSet, Session


def scale_set(record: ScaleSet, group_name: str) -> dict[str, Any]:
    """A RunnerScaleSet, with statistics."""
    return {
        "id": record.id,
        "name": record.name,
        "runnerGroupId": record.group_id,
        "runnerGroupName": group_name,
        "labels": record.labels,
        "RunnerSetting": record.setting,
        "enabled": record.enabled,
        "createdOn": stamp(record.created),
        "statistics": record.statistics(),
    }


def session(record: Session, owner: ScaleSet, group_name: str, url: str, token: str) -> Any:
    """A RunnerScaleSetSession."""
    return {
        "sessionId": record.id,
        "ownerName": record.owner,
        "runnerScaleSet": scale_set(owner, group_name),
        "messageQueueUrl": url,
        "messageQueueAccessToken": token,
        "statistics": owner.statistics(),
    }


def message(record: Message, owner: ScaleSet) -> dict[str, Any]:
    """A RunnerScaleSetMessage; its body is a string that holds a JSON array."""
    body = record.raw_body
    if body is None:
        body = msgspec.json.encode(record.jobs).decode()
    return {
        "messageId": record.id,
        "messageType": record.type,
        "body": body,
        "statistics": owner.statistics() if record.statistics is None else record.statistics,
    }


def job_message(kind: str, job: Job, **more: Any) -> dict[str, Any]:
    """One job message as it was true when it was written."""
    return {
        "messageType": kind,
        "runnerRequestId": job.request_id,
        "repositoryName": job.repository.partition("/")[2],
        "ownerName": job.owner,
        "jobId": job.job_id,
        "jobWorkflowRef": job.workflow,
        "jobDisplayName": job.display_name,
        "workflowRunId": job.run_id,
        "eventName": job.event,
        "requestLabels": list(job.labels),
        "queueTime": stamp(job.queued_at),
        "scaleSetAssignTime": stamp(job.assigned_at),
        "runnerAssignTime": stamp(job.started_at),
        "finishTime": stamp(job.finished_at),
        **more,
    }


def acquirable(job: Job, url: str) -> dict[str, Any]:
    """One row of acquirablejobs."""
    return {
        "acquireJobUrl": url,
        "messageType": "JobAvailable",
        "runnerRequestId": job.request_id,
        "repositoryName": job.repository.partition("/")[2],
        "ownerName": job.owner,
        "jobWorkflowRef": job.workflow,
        "eventName": job.event,
        "requestLabels": list(job.labels),
    }


def reference(agent: Agent) -> dict[str, Any]:
    """The short form of an agent, as generatejitconfig gives it."""
    return {
        "id": agent.id,
        "name": agent.name,
        "runnerScaleSetId": agent.scale_set_id or 0,
    }


def agent(record: Agent) -> dict[str, Any]:
    """An agent of the pool."""
    return {
        **reference(record),
        "os": "linux",
        "osDescription": "Linux",
        "version": "2.335.0",
        "enabled": True,
        "ephemeral": True,
        "status": record.status,
        "busy": record.busy,
        "provisioningState": "Provisioned",
        "createdOn": stamp(record.created),
        "labels": record.labels,
    }
