"""What is taken for a secret, and what is not."""

from __future__ import annotations

import secrets

import pytest

from scaler_github.init.secrecy import hidden, looks_secret

TOKENS = [
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghs_short1",
    "github_pat_11AAAAAAA0abcdefghijkl_mnopqrstuvwxyz",
    "0123456789abcdef0123456789abcdef01234567",
    "-----BEGIN RSA PRIVATE KEY-----",
    "aB3dE5gH7jK9mN1pQ3sT5vW7",
    "https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/acme",
]
HARMLESS = [
    "GITHUB_TOKEN",
    "SERVO_CI_MONITOR_API_TOKEN_2",
    "/etc/scaler/github.token",
    "https://github.com/acme/some-long-repository-name-2024",
    "debian-12-genericcloud-amd64.qcow2",
    "qemu+ssh://scaler@vm2.example.org/system",
    "self-hosted-image:servo-ubuntu2204-bench",
    "jammy-server-cloudimg-amd64.raw",
    "Iv23liAbCdEfGhIjKlMn",
    "0000000000000000000000000000000000000000",
]


@pytest.mark.parametrize("text", TOKENS)
def test_tokens_and_keys_are_recognised_and_hidden(text: str) -> None:
    assert looks_secret(text)
    shown = hidden(f'found "{text}", wanted a name: --x={text}')
    assert text not in shown
    assert text.split()[0] not in shown
    assert "wanted a name" in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_names_and_paths_are_none(text: str) -> None:
    assert not looks_secret(text)


def test_random_tokens_are_recognised() -> None:
    made = [secrets.token_hex(32) for _ in range(50)]
    assert all(map(looks_secret, made))
