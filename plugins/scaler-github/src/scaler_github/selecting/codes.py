"""Every no of the selector: a word for programs, a sentence for people, and how long it stands."""

from __future__ import annotations

import enum

from scaler import Refused


class Code(enum.Enum):
    """Why runners are refused. The value is what programs are told."""

    MALFORMED = "malformed-request"
    REPO = "repo-not-allowed"
    QUOTA = "run-quota"
    NO_RUN = "run-not-found"
    RUN_OVER = "run-not-in-progress"
    EVENT = "event-not-allowed"
    NO_ARTIFACT = "artifact-not-found"
    AMBIGUOUS = "artifact-ambiguous"
    OTHER_RUN = "artifact-of-another-run"
    EXPIRED = "artifact-expired"
    UNDATED = "artifact-undated"
    TOO_OLD = "artifact-too-old"
    TOO_NEW = "artifact-too-new"
    TOO_LARGE = "artifact-too-large"
    ELSEWHERE = "artifact-elsewhere"
    DIGEST = "artifact-digest"
    ARCHIVE = "artifact-unreadable"
    PROOF = "proof-malformed"
    MISMATCH = "proof-mismatch"
    PROFILE = "unknown-profile"
    COUNT = "too-many"


SENTENCES = {
    Code.MALFORMED: "what was asked for is malformed",
    Code.REPO: "the repository is not among those whose runs may select runners here",
    Code.QUOTA: "this run was granted as many reservations within the hour as one run may have",
    Code.NO_RUN: "GitHub shows no such run of this repository",
    Code.RUN_OVER: "the run is not in progress",
    Code.EVENT: "runs of this event may not select runners here",
    Code.NO_ARTIFACT: "the run has no artifact of this name (yet)",
    Code.AMBIGUOUS: "the run has more than one artifact of this name, or may have",
    Code.OTHER_RUN: "the artifact belongs to another run",
    Code.EXPIRED: "the artifact has expired or was deleted",
    Code.UNDATED: "GitHub does not tell when the artifact was made",
    Code.TOO_OLD: "the artifact is too old",
    Code.TOO_NEW: "the artifact is from the future",
    Code.TOO_LARGE: "the artifact is too large for a proof",
    Code.ELSEWHERE: "GitHub names a place for the artifact that nothing is fetched from",
    Code.DIGEST: "the artifact is not what its digest says",
    Code.ARCHIVE: "the artifact is not a zip of one small plain file",
    Code.PROOF: "the proof is not written as it must be",
    Code.MISMATCH: "the proof speaks of something else than was asked for",
    Code.PROFILE: "the proof names a profile that is not here",
    Code.COUNT: "the proof asks for more runners than one reservation may have",
}

_MOMENT, _MINUTE = 5.0, 60.0
_SOON_ELSE = {Code.NO_RUN, Code.NO_ARTIFACT, Code.RUN_OVER, Code.TOO_NEW}
#: Seconds for which a no is given again without asking GitHub: what may appear, or end, within
#: moments is looked at anew soon. Those that are not here cost nothing and are not remembered.
REMEMBERED: dict[Code, float] = {
    code: _MOMENT if code in _SOON_ELSE else _MINUTE
    for code in list(Code)
    if code not in {Code.MALFORMED, Code.REPO, Code.QUOTA}
}


def refused(code: Code, detail: str = "") -> Refused:
    """The outcome that the core knows; the detail says what was found."""
    sentence = SENTENCES[code]
    return Refused(code.value, f"{sentence}: {detail}" if detail else sentence)
