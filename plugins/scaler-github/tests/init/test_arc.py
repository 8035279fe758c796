"""`--from-arc`: every value is translated or listed, no secret is copied, and the result loads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler import FatalError
from scaler_github.init import arc, command
from scaler_github.init.building import build
from scaler_github.init.collecting import collect
from scaler_github.init.document import Document

from .conftest import leaves, load, ran, unaccounted

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
GIVEN = {
    "url": ["https://github.com/acme"],
    "source_image": ["debian.qcow2"],
    "hosts": ["qemu:///system,memory=none,vcpus=none"],
}

#: Every key that the chart has, and some that it has not.
EVERYTHING: dict[str, Any] = {
    "githubConfigUrl": "https://github.com/acme",
    "githubConfigSecret": {
        "github_token": TOKEN,
        "github_app_id": "123456",
        "github_app_installation_id": "654321",
        "github_app_private_key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
    },
    "proxy": {
        "http": {"url": "http://proxy.example.org:3128", "credentialSecretRef": "proxy-auth"},
        "https": {"url": "http://proxy.example.org:3129", "credentialSecretRef": "proxy-auth"},
        "noProxy": ["example.org", "10.0.0.0/8"],
    },
    "maxRunners": 5,
    "minRunners": 2,
    "runnerGroup": "Big Machines",
    "runnerScaleSetName": "Arc_Linux",
    "scaleSetLabels": ["gpu", "large"],
    "githubServerTLS": {
        "certificateFrom": {"configMapKeyRef": {"name": "our-ca", "key": "ca.crt"}},
        "runnerMountPath": "/usr/local/share/ca-certificates/",
    },
    "keyVault": {"type": "azure_key_vault", "azureKeyVault": {"url": "https://v.example.org"}},
    "containerMode": {
        "type": "kubernetes",
        "kubernetesModeWorkVolumeClaim": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    },
    "listenerTemplate": {"spec": {"containers": [{"name": "listener"}]}},
    "listenerMetrics": {"counters": {"gha_started_jobs_total": {"labels": ["repository"]}}},
    "listenerConfig": {"scaler": {"qps": 50}},
    "controllerServiceAccount": {"namespace": "arc-system", "name": "arc"},
    "namespaceOverride": "arc",
    "fullnameOverride": "",
    "annotations": {"a": "b"},
    "labels": {"c": "d"},
    "resourceMeta": {"managerRole": {"labels": {"e": "f"}}},
    "template": {
        "metadata": {"annotations": {"g": "h"}},
        "spec": {
            "nodeSelector": {"pool": "ci"},
            "tolerations": [{"key": "ci", "operator": "Exists"}],
            "affinity": {},
            "activeDeadlineSeconds": 7200,
            "serviceAccountName": "builder",
            "restartPolicy": "Never",
            "imagePullSecrets": [{"name": "pull"}],
            "initContainers": [{"name": "prepare", "image": "busybox"}],
            "volumes": [{"name": "work", "emptyDir": {}}],
            "priorityClassName": "high",
            "containers": [
                {"name": "docker", "image": "docker:dind", "resources": {"limits": {"cpu": 1}}},
                {
                    "name": "runner",
                    "image": "ghcr.io/acme/runner:latest",
                    "imagePullPolicy": "Always",
                    "command": ["/opt/runner/run.sh"],
                    "args": ["--once"],
                    "env": [{"name": "NPM_TOKEN", "value": "canary-in-the-environment"}],
                    "envFrom": [{"secretRef": {"name": "more"}}],
                    "volumeMounts": [{"name": "work", "mountPath": "/work"}],
                    "securityContext": {"privileged": True},
                    "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
                    "workingDir": "/work",
                    "resources": {
                        "requests": {"cpu": "500m", "memory": "1Gi"},
                        "limits": {
                            "cpu": "2500m",
                            "memory": "6Gi",
                            "ephemeral-storage": "40Gi",
                            "nvidia.com/gpu": 1,
                        },
                    },
                },
            ],
        },
    },
    "runnerLabels": ["of", "nobody"],
    "somethingNew": {"deep": [{"er": 1}, []]},
}


def written(values: Any, folder: Path, given: dict[str, list[str]] | None = None) -> Document:
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    found = arc.translate(path)
    flags = GIVEN | (given or {})
    if values.get("githubConfigUrl") == EVERYTHING["githubConfigUrl"]:
        del flags["url"]
    build(collect(flags, found.presets, None), found.document, boot_script=True)
    return found.document


def without(values: Any, places: set[tuple[str, ...]], at: tuple[str, ...] = ()) -> Any:
    """The values without those at some places."""
    if isinstance(values, dict):
        return {
            key: without(one, places, (*at, key))
            for key, one in values.items()
            if (*at, key) not in places
        }
    return copy.deepcopy(values)


def maps(values: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(values, dict):
        return []
    below = [place for key, one in values.items() for place in maps(one, (*at, key))]
    return [*((*at, key) for key in values), *below]


def test_everything_that_has_a_counterpart_is_taken(folder: Path, key_file: Path) -> None:
    document = written(EVERYTHING, folder, {"app_key_file": [str(key_file)]})
    settings = load(document.text(), folder)
    github, queue = settings.plugins["github"], settings.own["actions-queue"]["arc-linux"]
    assert github.url == "https://github.com/acme"
    assert (github.app.client_id, github.app.installation_id) == ("123456", 654321)
    assert github.proxy == "http://proxy.example.org:3129"
    assert (queue.scale_set, queue.runner_group) == ("Arc_Linux-scaler", "Big Machines")
    profile = settings.profiles["arc-linux"]
    assert (profile.target_count, profile.max_count) == (2, 5)
    assert profile.resources == {"memory": 6 << 30, "vcpus": 3}
    assert profile.max_lifetime == 7200
    assert settings.own["libvirt"]["arc-linux"].disk_size == 40 << 30
    assert profile.labels == ()  # while both run they would take each other's jobs


ALLOWED = {"template.spec.containers[1].name"}  # it says which of them is meant


@pytest.mark.once
@settings(max_examples=25)
@given(
    left_out=st.sets(st.sampled_from(maps(EVERYTHING)), max_size=12),
    spoilt=st.dictionaries(
        st.sampled_from([place for place in leaves(EVERYTHING) if not {"0", "1"} & {*place}]),
        st.sampled_from([None, "", -1, 0, True, [], {}, "\n", "x y", {"a": {"b": 1}}, 1.5, TOKEN]),
        max_size=4,
    ),
)
def test_every_value_is_translated_or_listed(
    left_out: set[tuple[str, ...]],
    spoilt: dict[tuple[str, ...], Any],
    folder: Path,
    key_file: Path,
) -> None:
    values = without(EVERYTHING, left_out)
    if spoilt.get(("maxRunners",)) == 0:  # below minRunners, which is an error of its own
        del spoilt["maxRunners",]
    for place, value in spoilt.items():
        below = values
        for part in place[:-1]:
            below = below.get(part) if isinstance(below, dict) else None
        if isinstance(below, dict) and place[-1] in below:
            below[place[-1]] = value
    if not values.keys() & {"githubConfigUrl", "maxRunners", "template", "runnerGroup"}:
        return
    given: dict[str, list[str]] = {}
    secret = values.get("githubConfigSecret")
    if isinstance(secret, dict) and secret.keys() & {"github_app_id", "github_app_installation_id"}:
        given = {
            "app_key_file": [str(key_file)],
            "app_client_id": ["x"],
            "app_installation_id": ["1"],
        }
    document = written(values, folder, given)
    text = document.text()
    assert load(text, folder)
    told = text + "\n".join(map(str, document.notes))
    for canary in (TOKEN, "PRIVATE KEY", "MIIE", "canary-in-the-environment"):
        assert canary not in told
    assert set(unaccounted(values, document, "values.yaml")) <= ALLOWED


def test_a_value_that_is_lost_would_be_found(folder: Path) -> None:
    document = written(EVERYTHING, folder, {"app_key_file": ["x"]})
    document.notes = [note for note in document.notes if note.path != "listenerConfig"]
    assert "listenerConfig.scaler.qps" in unaccounted(EVERYTHING, document, "values.yaml")


def test_what_a_flag_says_instead_is_listed(folder: Path) -> None:
    document = written({"maxRunners": 5}, folder, {"max_count": ["7"]})
    assert [str(note) for note in document.notes if "maxRunners" in note.path] == [
        "maxRunners in values.yaml: not taken: --max-count says otherwise"
    ]


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        ({"githubConfigUrl": f"https://{TOKEN}@github.com/acme"}, "githubConfigUrl"),
        ({"githubConfigUrl": "x", "githubConfigSecret": {"github_token": "plain"}}, "github_token"),
        ({"githubConfigUrl": "x", "githubConfigSecret": "pre-defined"}, "githubConfigSecret"),
        ({"githubConfigUrl": "x", "proxy": {"http": {"url": "http://u:p@h:1"}}}, "proxy"),
        ({"githubConfigUrl": "x", "runnerScaleSetName": TOKEN}, "runnerScaleSetName"),
        ({"maxRunners": 0}, "maxRunners"),
        ({"maxRunners": "{5}"}, "maxRunners"),
        ({"maxRunners": 2147483647}, "maxRunners"),
        ({"githubConfigUrl": "x", TOKEN: {TOKEN: 1, "b": TOKEN}}, "***"),
        ({"githubConfigUrl": "x", "githubConfigSecret": {"github_app_id": 1.5}}, "github_app_id"),
    ],
    ids=range(10),
)
def test_what_may_not_or_cannot_be_copied_is_listed(
    values: dict[str, Any], listed: str, folder: Path
) -> None:
    document = written(values, folder)
    assert any(listed in note.path and note.instead for note in document.notes), document.notes
    assert TOKEN not in document.text()
    assert "u:p" not in document.text()


def test_a_limit_that_is_none_here_is_told_as_that(folder: Path) -> None:
    for found in (2147483647, "10", 0, 1.5):
        notes = written({"maxRunners": found}, folder).notes
        (why,) = [note.why for note in notes if note.path == "maxRunners"]
        assert "no whole number from 1 to 100000" in why


def test_numbers_are_read_as_helm_writes_them(folder: Path, key_file: Path) -> None:
    secret = {"github_app_id": 1.234567e06, "github_app_installation_id": 7.654321e07}
    values = {"githubConfigSecret": secret, "minRunners": 1.0, "maxRunners": 1e1}
    document = written(values, folder, {"auth": ["app"], "app_key_file": [str(key_file)]})
    app = document.get("plugins", "github", "app")
    assert (app["client_id"], app["installation_id"]) == ("1234567", 76543210)
    assert document.get("profiles", "linux", "target_count") == 1
    assert document.get("profiles", "linux", "max_count") == 10


@pytest.mark.parametrize(
    "text",
    [
        f"minRunners: 1\n{TOKEN}: 1\n{TOKEN}: 2\n",
        f"minRunners: 1\na: &{TOKEN} 1\nb: &{TOKEN} 2\nc: *no\n",
        f"minRunners: 1\na: *{TOKEN}\n",
        f"minRunners: 1\nmine: {{{TOKEN}}}\n",
        f"minRunners: 5\nmaxRunners: 1\nmine: {TOKEN}\n",
    ],
    ids=["twice", "anchor", "alias", "key", "refused"],
)
def test_a_token_in_a_wrong_place_is_not_shown(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    ran("--from-arc", str(path), "-o", "-", "--url", "https://github.com/a", "--source-image", "x")
    said = capsys.readouterr()
    assert said.err
    assert TOKEN not in said.out + said.err


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("1Gi", "1G"), ("512Mi", "512M"), ("1G", "954M"), ("1073741824", "1G"), (2147483648, "2G")],
)
def test_amounts_of_memory_are_read(quantity: Any, size: str, folder: Path) -> None:
    spec = {"containers": [{"name": "runner", "resources": {"requests": {"memory": quantity}}}]}
    document = written({"template": {"spec": spec}}, folder)
    assert document.get("profiles", "linux", "resources", "memory") == size


@pytest.mark.parametrize(
    ("quantity", "count"), [("500m", 1), ("2500m", 3), ("2", 2), (4, 4), (1.5, 2), ("2.0", 2)]
)
def test_amounts_of_processors_are_read(quantity: Any, count: int, folder: Path) -> None:
    spec = {"containers": [{"name": "runner", "resources": {"limits": {"cpu": quantity}}}]}
    document = written({"template": {"spec": spec}}, folder)
    assert document.get("profiles", "linux", "resources", "vcpus") == count


def test_values_within_what_deploys_them_are_found(folder: Path) -> None:
    around = {"apiVersion": "v1", "kind": "HelmRelease", "metadata": {"name": "x"}}
    release = {**around, "spec": {"chart": {"spec": {"chart": "c"}}, "values": {"maxRunners": 3}}}
    document = written(release, folder)
    assert document.get("profiles", "linux", "max_count") == 3
    assert unaccounted(release, document, "values.yaml") == []
    made = {**around, "kind": "AutoscalingRunnerSet", "spec": {"maxRunners": 4, "minRunners": 1}}
    document = written(made, folder)
    assert document.get("profiles", "linux", "max_count") == 4
    assert unaccounted(made, document, "values.yaml") == []


OLD = """\
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
metadata: {name: example}
spec: {template: {spec: {repository: acme/web, labels: [large]}}}
---
apiVersion: actions.summerwind.dev/v1alpha1
kind: HorizontalRunnerAutoscaler
metadata: {name: example}
spec: {minReplicas: 1, maxReplicas: 5}
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OLD, "found HorizontalRunnerAutoscaler, RunnerDeployment of actions.summerwind.dev"),
        ("scaleset: {name: x}\nauth: {url: y}\n", "gha-runner-scale-set-experimental"),
        ("replicaCount: 1\n", "found none of the keys"),
        ("[]\n", "found 1 documents"),
        ("a: 1\n---\nb: 1\n", "found 2 documents"),
        ("", "found 0 documents"),
        ("minRunners: 5\nmaxRunners: 2\n", "found 5, and maxRunners is 2"),
        ("maxRunners: 1\nmaxRunners: 2\n", 'found the key "maxRunners" twice'),
        ("kind: HelmRelease\nspec: {values: {}}\n---\nkind: Secret\n", "wanted one"),
    ],
    ids=range(9),
)
def test_what_is_something_else_is_told(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "values.yaml").write_text(text)
    target = tmp_path / "scaler.toml"
    argv = ["--from-arc", str(tmp_path / "values.yaml"), "-o", str(target)]
    assert ran(*argv) == 1
    assert told in capsys.readouterr().err
    assert not target.exists()


def test_the_older_one_is_told_what_maps_by_hand(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(OLD)
    with pytest.raises(FatalError) as caught:
        arc.translate(tmp_path / "values.yaml")
    for word in ("--url", "--label", "--target-count", "--max-count", "--runner-memory"):
        assert word in str(caught.value)


def test_the_list_is_on_the_standard_error_and_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(EVERYTHING))
    target = tmp_path / "scaler.toml"
    hosts = ["--host", GIVEN["hosts"][0], "--source-image", "x.qcow2"]
    assert command(["--from-arc", str(tmp_path / "values.yaml"), *hosts, "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    text = target.read_text()
    assert TOKEN not in out + err + text
    assert "githubConfigSecret.github_token: a secret is never copied" in err
    assert "githubConfigSecret.github_token: a secret is never copied" in text
    assert "# from maxRunners in values.yaml\nmax_count = 5\n" in text
    assert "install -m 600 DOWNLOADED.pem /etc/scaler/app.pem" in out
