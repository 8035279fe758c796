"""What each table and key of the settings is, in the words that the written file has beside it."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str, ...]
PROFILE = "profiles"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        words: What it means.
        off: How it is written, as a comment, where it is not given; empty: it is left out.
    """

    name: str
    words: str
    off: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `*` in its path stands for any name.

    Attributes:
        off: Whether it is shown as a comment where it is not there.
    """

    path: KeyPath
    words: str
    keys: tuple[Key, ...] = ()
    off: bool = False


TABLES = (
    Table(
        ("scaler",),
        "",
        (
            Key(
                "name",
                "What this scaler is called, in every tag and every runner's name. No other one "
                "may have this name: what carries it is taken for its own, and cleared away.",
            ),
            Key("state_dir", "Where it keeps what it must remember. One scaler, one folder."),
            Key(
                "tick", "How often everything is looked at; changes are acted on at once.", '"30s"'
            ),
            Key("shutdown_grace", "How long calls in flight may take at the end.", '"30s"'),
            Key("log", "debug, info, warning or error.", '"info"'),
        ),
    ),
    Table(
        ("plugins", "github"),
        "A table enables its plugin. This one is the way to GitHub.",
        (
            Key(
                "url",
                "An organization, a repository or an enterprise, as a browser shows it.",
            ),
            Key(
                "token",
                "Where the token is that may register runners: never the token itself. A file "
                "(mode 0600) can be changed while scaler runs, the environment cannot.",
            ),
            Key(
                "proxy",
                "An HTTP proxy; otherwise HTTPS_PROXY and NO_PROXY count.",
                '"http://proxy:3128"',
            ),
            Key("ca_file", "More certificate authorities to trust."),
            Key("api_cache_timeout", "How old lists of runners may be.", '"30s"'),
        ),
    ),
    Table(
        ("plugins", "github", "app"),
        "The GitHub App in place of a token.",
        (
            Key("client_id", "Its client ID, or its number, as a string."),
            Key("installation_id", "The number at the end of its installation's address."),
            Key("private_key", "Where the PEM file is that GitHub gave for it (mode 0600)."),
        ),
    ),
    Table(
        ("plugins", "actions-queue"),
        "Brings the jobs, by a scale set for each profile.",
        (Key("poll_timeout", "How long GitHub may hold a poll back.", '"50s"'),),
    ),
    Table(
        ("plugins", "acquirable-jobs"),
        "Finds the jobs that the queue did not tell.",
        (Key("interval", "How often it looks, at least.", '"60s"'),),
    ),
    Table(
        ("plugins", "libvirt"),
        "Makes the machines.",
        (
            Key(
                "hosts",
                "The hypervisors. memory, vcpus and hugepages_1g are what runners may use of each "
                "in all, not what it has.",
            ),
            Key("screenshot_interval", "How often a machine's picture is taken again.", '"30s"'),
            Key(
                "guest_url",
                "What guests reach guest_listen as, where libvirt runs on another machine than "
                "this.",
                '"http://ci.example.org:8000/"',
            ),
        ),
    ),
    Table(
        ("plugins", "artifact-select"),
        "Lets workflows reserve a runner with an artifact of their own run as the proof.",
        (
            Key("allowed_repos", "Whose runs may: OWNER/* or OWNER/NAME.", '["acme/*"]'),
            Key("artifact_max_age", "How old an artifact may be.", '"5m"'),
            Key("artifact_prefix", "What its name begins with."),
        ),
        off=True,
    ),
    Table(
        ("plugins", "monitor"),
        "The dashboard and the Monitor API, and the door for guests.",
        (
            Key(
                "listen",
                "Where people and workflows reach it. The dashboard has no password: keep it on "
                "this machine, or behind a proxy that asks for one.",
            ),
            Key(
                "guest_listen",
                "Where guests fetch their boot script and their config: this machine's address on "
                "libvirt's network. Nothing else is served there.",
                '["192.168.122.1:8000"]',
            ),
            Key("external_base_url", "What others reach listen as.", '"https://ci.example.org/"'),
            Key(
                "token",
                "Where the token is that takes runners and changes things; 32 bytes at least "
                "(openssl rand -hex 32).",
            ),
            Key("static", "Folders that guests may fetch from, by the path they are served as."),
            Key("trusted_proxies", "Proxies whose X-Forwarded-For counts.", '["127.0.0.1"]'),
        ),
    ),
    Table(
        (PROFILE, "*"),
        "A kind of runner. More of them: more such tables.",
        (
            Key(
                "labels", "What workflows ask for, beside the scale set's name where there is one."
            ),
            Key("target_count", "How many stand ready while nothing asks for them."),
            Key("max_count", "How many there may be at most."),
            Key(
                "resources",
                "What one machine takes of its host. A host with less left gets no more.",
            ),
            Key(
                "boot_script",
                "What every machine of it runs as root; relative to this file. scaler init writes "
                "one for cloud images.",
            ),
            Key(
                "start_timeout", "How long a machine may take until its runner is online.", '"240s"'
            ),
            Key("reserve_timeout", "How long a reserved runner waits for its job.", '"60s"'),
            Key("max_lifetime", "After this a runner is destroyed even if it is busy.", '"24h"'),
            Key(
                "hold_failed",
                "How long the machine of a failed job is kept for you to look at.",
                '"0s"',
            ),
        ),
    ),
    Table(
        (PROFILE, "*", "actions-queue"),
        "",
        (
            Key(
                "scale_set",
                "The scale set's name: what workflows name in runs-on. It is made where it is not "
                "there.",
            ),
            Key("runner_group", "The runner group that it belongs to.", '"default"'),
        ),
    ),
    Table(
        (PROFILE, "*", "github"),
        "Registered one by one by REST, so that they can be reserved.",
        (Key("runner_group", "The runner group that they belong to.", '"default"'),),
    ),
    Table(
        (PROFILE, "*", "libvirt"),
        "",
        (
            Key(
                "source_image",
                "A cloud image on the hypervisor: a path, or a volume of its pool. The profile's "
                "image is built from it by the boot script, and runners start from that.",
            ),
            Key(
                "base_image",
                "The disk that every machine starts from and none writes to: a path on the "
                "hypervisor, or a volume of its pool.",
            ),
            Key("base_image_max_age", "How old an image may be before another is built."),
            Key("disk_size", "How large a machine's disk is."),
            Key("guest_xml", "The site's own domain, which is completed."),
            Key("user_data", "cloud-init's user-data, in place of the built-in one."),
            Key(
                "identify",
                "What a guest is known by when it asks: a secret in its seed, or its address.",
            ),
            Key("network", "libvirt's network, in place of the host's."),
        ),
    ),
)
