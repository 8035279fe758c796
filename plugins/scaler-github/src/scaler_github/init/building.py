"""From answers to the settings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_github.init.document import Document
from scaler_github.init.manual import PROFILE

if TYPE_CHECKING:
    from scaler_github.init.collecting import Answered
    from scaler_github.init.manual import KeyPath

BOOT_SCRIPT = "cloud-boot.sh"


def build(done: Answered, document: Document, *, boot_script: bool) -> None:
    """Put the answers into a document, beside what is in it already.

    Args:
        done: The answers.
        document: What another system's settings gave, or nothing yet.
        boot_script: Whether the boot script is written beside it.
    """
    put = _Putting(done, document)
    put("name", ("scaler", "name"))
    put("state_dir", ("scaler", "state_dir"))
    _connection(put)
    queued = not done.answers["profiles"]
    if queued:
        document.put(("plugins", "actions-queue"), {})
        document.put(("plugins", "acquirable-jobs"), {})
    put("hosts", ("plugins", "libvirt", "hosts"))
    put("listen", ("plugins", "monitor", "listen"))
    put("guest_listen", ("plugins", "monitor", "guest_listen"))
    if variable := done.answers.get("monitor_token_env"):
        origin = done.origins.get("monitor_token_env", "")
        document.put(("plugins", "monitor", "token"), {"env": variable}, origin)
    if queued:
        _profile(put, boot_script=boot_script)
    document.notes = [*done.notes, *document.notes]


class _Putting:
    """Puts answers where they belong, with where they came from."""

    def __init__(self, done: Answered, document: Document) -> None:
        self.answers = done.answers
        self.document = document
        self._origins = done.origins

    def __call__(self, key: str, path: KeyPath) -> None:
        """Put an answer, if there is one that says something."""
        found = self.answers.get(key)
        if found is not None and found != []:
            self.document.put(path, found, self._origins.get(key, ""))


def _connection(put: _Putting) -> None:
    where: KeyPath = ("plugins", "github")
    put("url", (*where, "url"))
    how = put.answers["auth"]
    if how == "app":
        put("app_client_id", (*where, "app", "client_id"))
        put("app_installation_id", (*where, "app", "installation_id"))
        put.document.put((*where, "app", "private_key"), {"file": put.answers["app_key_file"]})
    else:
        put.document.put((*where, "token"), {how: put.answers[f"token_{how}"]})


def _profile(put: _Putting, *, boot_script: bool) -> None:
    answers, document = put.answers, put.document
    name = answers["profile"]
    where: KeyPath = (PROFILE, name)
    document.put(where, document.get(*where) or {})
    put("labels", (*where, "labels"))
    put("target_count", (*where, "target_count"))
    put("max_count", (*where, "max_count"))
    put("max_lifetime", (*where, "max_lifetime"))
    resources = {"memory": answers["runner_memory"], "vcpus": answers["runner_vcpus"]}
    document.put((*where, "resources"), resources)
    origins = [put._origins.get(key, "") for key in ("runner_memory", "runner_vcpus")]
    if any(origins):
        document.origins[(*where, "resources")] = " and ".join(filter(None, origins))
    if answers["machines"] == "libvirt":
        if boot_script:
            document.put((*where, "boot_script"), BOOT_SCRIPT)
        else:
            document.later[(*where, "boot_script")] = (
                BOOT_SCRIPT,
                "What every machine of it runs as root: put a script beside this file (scaler init "
                "without --no-boot-script writes one), and take the # away.",
            )
    scale_set = answers.get("scale_set", name)
    put.document.put(
        (*where, "actions-queue", "scale_set"), scale_set, put._origins.get("scale_set", "")
    )
    put("runner_group", (*where, "actions-queue", "runner_group"))
    disk: dict[str, Any] = document.get(*where, "libvirt") or {}
    document.put((*where, "libvirt"), disk)
    for key in ("source_image", "base_image", "disk_size"):
        put(key, (*where, "libvirt", key))
