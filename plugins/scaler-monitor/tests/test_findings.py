from __future__ import annotations

from pathlib import Path

import pytest

from scaler import SecretSource
from scaler_monitor.findings import findings
from scaler_monitor.settings import Config, StaticFolder


def told(config: Config) -> list[str]:
    return [finding.text for finding in findings(config) if not finding.ok]


def test_what_is_not_there_is_told_with_its_cure(tmp_path: Path) -> None:
    missing, plain = tmp_path / "missing", tmp_path / "plain"
    plain.write_text("")
    config = Config(
        listen=("0.0.0.0:80", f"unix:{missing}/socket"),
        static={
            "/a": StaticFolder(path=missing),
            "/b": StaticFolder(path=plain),
            "/c": StaticFolder(path=tmp_path),
        },
    )
    assert told(config) == [
        "no token is set: nobody can take a runner or override a target",
        f"/a is {missing}, which is no folder that can be read",
        f"/b is {plain}, which is no folder that can be read",
        f"no socket can be made in {missing}",
        "it listens on every address, and does not know the one that others use",
    ]
    assert all(finding.fix for finding in findings(config) if not finding.ok)
    needs = {finding.text.split()[0]: finding.need for finding in findings(config)}
    assert needs["no"] == "required"
    assert needs["it"] == "useful"


def test_all_is_well(tmp_path: Path) -> None:
    environ = {"TOKEN": "6f1c2a9e0b7d4835a1e2c3d4f5061728"}
    config = Config(
        listen=("[::]:80", f"unix:{tmp_path}/socket"),
        token=(SecretSource(env="TOKEN", environ=environ),),
        external_base_url="https://ci.example.org",
        static={"/deps": StaticFolder(path=tmp_path)},
    )
    assert told(config) == []
    assert [finding.text for finding in findings(config)] == [
        "a token is set",
        f"/deps is {tmp_path}",
    ]
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize(
    ("listen", "guest_listen", "guests", "wrong"),
    [
        (("127.0.0.1:8000", "[::1]:8000"), (), ("linux", "bench"), True),
        (("localhost:8000",), (), ("linux",), True),
        (("unix:/run/s",), (), ("linux",), True),
        (("127.0.0.1:8000",), ("192.168.122.1:8000",), ("linux",), False),
        (("192.168.122.1:8000",), (), ("linux",), False),
        (("127.0.0.1:8000",), (), (), False),
    ],
)
def test_guests_that_nothing_listens_for(
    listen: tuple[str, ...], guest_listen: tuple[str, ...], guests: tuple[str, ...], wrong: bool
) -> None:
    config = Config(listen=listen, guest_listen=guest_listen)
    texts = [each.text for each in findings(config, guests) if "listens for" in each.text]
    assert bool(texts) is wrong
    if wrong:
        assert ", ".join(sorted(guests)) in texts[0]
