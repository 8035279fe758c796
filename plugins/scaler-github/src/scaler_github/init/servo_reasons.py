"""Why a key of monitor.toml has no counterpart, and what to do in place of it."""

from __future__ import annotations

from scaler_github.init.translation import Reason

_INSIDE = "it is about that monitor's one thread, which there is not: no request waits for a loop"
_WRONG = "its value is not one that can be taken over"

UNKNOWN = Reason("", "scaler does not know this key", "see docs/reference/settings.md for its like")
REASONS = (
    Reason(
        "github_api_is_forgejo",
        "this scaler's plugins speak with GitHub",
        "see docs/examples/scaler-forgejo, a plugin for Forgejo, and give --url for GitHub",
    ),
    Reason(
        "github_api_scope_url",
        "it is no address of GitHub's REST API for a repository, an organization or an enterprise",
        "give --url",
    ),
    Reason("github_api_scope", "it is neither /repos/OWNER/REPO nor /orgs/ORG", "give --url"),
    Reason("github_api_suffix", _WRONG, "give --name"),
    Reason("listen_on", "it is no list of IP addresses", "give --listen and --guest-listen"),
    Reason("external_base_url", _WRONG, "write external_base_url in [plugins.monitor] by hand"),
    Reason(
        "allowed_qualified_repo_prefix",
        "it does not end an owner's name with /, and scaler compares whole names",
        "write allowed_repos in [plugins.artifact-select] by hand",
    ),
    Reason(
        "tokenless_select_artifact_max_age",
        "it belongs to [plugins.artifact-select], which is off",
        "write artifact_max_age there once it is on (24h at most)",
    ),
    Reason(
        "monitor_poll_interval",
        "scaler does not poll: what changes is acted on at once",
        "tick in [scaler] is the slow look at everything; 30s will do",
    ),
    Reason("monitor_thread_send_timeout", _INSIDE),
    Reason("monitor_thread_recv_timeout", _INSIDE),
    Reason(
        "destroy_all_non_busy_runners",
        "there is no such setting",
        "`scaler pause --all` takes idle runners away and leaves busy ones alone",
    ),
    Reason(
        "dont_create_runners",
        "there is no such setting",
        "`scaler pause --all`, and `scaler resume --all`",
    ),
    Reason(
        "dont_register_runners",
        "a runner that is not registered is of no use here",
        "to try out without GitHub: docs/how-to/run-against-the-simulator.md",
    ),
    Reason(
        "main_repo_path",
        "it is no whole path",
        "write static in [plugins.monitor] by hand, with dotfiles = true",
    ),
    Reason(
        "dont_update_cached_servo_repo",
        "scaler serves the folder and does not update it",
        "update it by a timer of your own: git -C FOLDER fetch",
    ),
    Reason("libvirt_template_guest_prefix", "scaler names its machines itself, and never by these"),
    Reason("libvirt_rebuild_guest_prefix", "scaler names its machines itself, and never by these"),
    Reason("libvirt_runner_guest_prefix", "scaler names its machines itself, and never by these"),
    Reason(
        "queue_member",
        "there is no queue over several servers",
        "list all hypervisors under hosts of one scaler: it knows what is free on each",
    ),
    Reason(
        "queue",
        "there is no queue over several servers",
        "list all hypervisors under hosts of one scaler, and let workflows ask that one; "
        "`?wait=60s` waits in line",
    ),
    Reason("available_1g_hugepages", _WRONG, "write hugepages_1g of the host by hand"),
    Reason("available_normal_memory", _WRONG, "write memory of the host by hand"),
    Reason("monitor_start_timeout", _WRONG, "write start_timeout of the profiles by hand"),
    Reason("monitor_reserve_timeout", _WRONG, "write reserve_timeout of the profiles by hand"),
    Reason("base_image_max_age", _WRONG, "write base_image_max_age of the profiles by hand"),
    Reason("api_cache_timeout", _WRONG, "api_cache_timeout in [plugins.github] is 30s"),
    Reason("profiles.*.profile_name", "it is not the profile's key, which counts"),
    Reason("profiles.*.base_vm_name", "machines are made from an image, not from a domain"),
    Reason(
        "profiles.*.base_image_snapshot",
        "machines are made from an image, not from a snapshot",
        "name the disk as source_image or base_image",
    ),
    Reason(
        "profiles.*.configuration_name",
        "there is no such script: the boot script makes the image",
        "name it as boot_script",
    ),
    Reason(
        "profiles.*.image_type", "there is one way to make images here", "name its source_image"
    ),
    Reason("profiles.*.github_runner_label", _WRONG, "write labels of the profile by hand"),
    Reason("profiles.*.target_count", _WRONG, "write target_count of the profile by hand"),
    Reason(
        "profiles.*.requires_1g_hugepages", _WRONG, "write hugepages_1g of its resources by hand"
    ),
    Reason("profiles.*.requires_normal_memory", _WRONG, "write memory of its resources by hand"),
)
