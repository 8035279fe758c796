"""The settings of `github`: what cannot work is refused while they are read, at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from scaler import SecretSource
from scaler_github.connection import GitHub


def config(**fields: Any) -> GitHub.Config:
    given = {"url": "https://github.com/acme", "token": SecretSource(env="T"), **fields}
    return GitHub.Config(**given)


def test_settings_that_work(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config(proxy="http://user:pass@proxy:3128", ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "acme", "^url: found 'acme'.* wanted https://HOST/ORG"),
        ("url", "https://github.com/acme/widgets.git", "^url: .*acme/widgets, without .git"),
        ("url", "https://u:p4ss@github.com/acme", "^url: found 'github.com/acme'.*`token`"),
        ("proxy", "nonsense", "^proxy: found 'nonsense'"),
        ("proxy", "http://me:p4ss@", "^proxy: found ''"),
    ],
)
def test_settings_that_cannot_work(field: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        config(**{field: value})
    assert "p4ss" not in str(caught.value)


def test_a_file_of_authorities_must_hold_some(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("certificate")
    for name, says in (("none", "No such file"), ("empty", "no certificates"), ("text", "no cert")):
        with pytest.raises(ValueError, match=f"^ca_file: .*{says}"):
            config(ca_file=tmp_path / name)
    with pytest.raises(ValueError, match=r"^ca_file: "):
        config(ca_file=tmp_path)
