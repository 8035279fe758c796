"""Stands in for the official runner: joins the simulator, does one job, and ends.

    job.sh CONTROL GO

CONTROL is the simulator's `/_control`; the job goes on until the file GO exists.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def ask(call: str, **body: Any) -> Any:
    """POST where there is a body, else GET."""
    url, data = f"{sys.argv[1]}/{call}", json.dumps(body).encode() if body else None
    with urllib.request.urlopen(url, data, timeout=10) as answer:
        return json.load(answer)


def main() -> None:
    """Be online, have a job, end it."""
    signal.alarm(120)  # whatever becomes of the test
    name = ask("runners/online", jit_config=os.environ["ACTIONS_RUNNER_INPUT_JITCONFIG"])["name"]
    print(f"{name} is online", flush=True)
    job = None
    while job is None:
        time.sleep(0.02)
        (mine,) = (each for each in ask("world")["agents"] if each["name"] == name)
        job = mine["job"]
    Path("work").write_text(f"{job}\n")
    while not Path(sys.argv[2]).exists():
        time.sleep(0.02)
    ask("jobs/finish", job=job)
    print(f"{name} has done {job}", flush=True)


if __name__ == "__main__":
    main()
