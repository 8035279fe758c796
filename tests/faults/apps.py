"""Signing in as a GitHub App, instead of with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.world import World

APP, INSTALLATION = "Iv23simulated", 77


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def app(tmp_path: Path, key: rsa.RSAPrivateKey) -> str:
    """The settings of a GitHub App."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    path = tmp_path / "app.pem"
    path.write_bytes(private)
    path.chmod(0o600)
    values = f'client_id = "{APP}", installation_id = {INSTALLATION}'
    return f'app = {{ {values}, private_key = {{ file = "{path}" }} }}'


def install(world: World, key: rsa.RSAPrivateKey) -> None:
    """Let the simulator know the App."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    world.simulator.add_app(APP, INSTALLATION, account="acme", public_key=public.decode())
