"""TLS on a door: what is spoken, and files that change while it is served."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
import trustme
from cryptography.hazmat.primitives import serialization

from scaler import Job, Unavailable
from scaler_monitor.serving import connection, renewing, server
from scaler_monitor.serving.certificate import Certificate, load
from scaler_monitor.settings import Tls

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> Tls:
    made = Tls(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    put(made, authority.issue_cert("127.0.0.1", "localhost"))
    return made


def put(tls: Tls, issued: trustme.LeafCert) -> None:
    key = tls.key.with_suffix(".new")
    key.touch(0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    key.replace(tls.key)
    tls.cert.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))


def trusting(authority: trustme.CA, protocols: tuple[str, ...] = ("h2", "http/1.1")) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.set_alpn_protocols(list(protocols))
    return context


async def shown(served: Any, context: ssl.SSLContext) -> tuple[bytes, bytes, Any, Any]:
    """What comes back, the certificate, and what was agreed upon."""
    plain = await served.connect()
    stream = trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True)
    async with stream:
        await stream.do_handshake()
        shown = stream.getpeercert(binary_form=True)
        agreed = stream.selected_alpn_protocol(), stream.version()
        await stream.send_all(GET)
        heard = b""
        while more := await stream.receive_some():
            heard += more
        return heard, shown, *agreed


async def test_tls(serving: Any, world: Any, tls: Tls, authority: trustme.CA) -> None:
    async with serving("127.0.0.1:0", tls=tls, guest_listen=("127.0.0.1:0",)) as served:
        [address] = served.monitor.addresses
        assert address.startswith("https://127.0.0.1:")
        assert world.reports[-1][0].startswith(f"serves {address}, guests at http://")
        heard, _, protocol, version = await shown(served, trusting(authority))
        assert heard.startswith(b"HTTP/1.1 200")
        assert (protocol, version) == ("http/1.1", "TLSv1.3")
        _, _, protocol, _ = await shown(served, trusting(authority, ("h2",)))
        assert protocol is None
        async with httpx.AsyncClient(verify=trusting(authority), trust_env=False) as client:
            for _ in range(3):
                origin = {"Origin": address}
                response = await client.get(f"{address}/healthz", headers=origin)
                assert response.json() == {"ok": True}
        async with served.client(guests=True) as guest:
            assert (await guest.get("/boot")).status_code == 404


async def test_guests_can_have_it_too(serving: Any, tls: Tls, authority: trustme.CA) -> None:
    both = Tls(cert=tls.cert, key=tls.key, guests=True)
    async with serving("127.0.0.1:0", tls=both, guest_listen=("127.0.0.1:0",)) as served:
        [address] = served.monitor.guest_addresses
        assert address.startswith("https://")
        async with httpx.AsyncClient(verify=trusting(authority), trust_env=False) as client:
            assert (await client.get(f"{address}/boot")).status_code == 404


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:.*TLSv1.*deprecated:DeprecationWarning")
async def test_old_versions_are_refused(
    serving: Any, tls: Tls, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    old = trusting(authority)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = version
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with serving("127.0.0.1:0", tls=tls) as served:
        with pytest.raises(trio.BrokenResourceError):
            await shown(served, old)
        newer = trusting(authority)
        newer.maximum_version = ssl.TLSVersion.TLSv1_2
        heard, _, _, agreed = await shown(served, newer)
        assert (heard[:12], agreed) == (b"HTTP/1.1 200", "TLSv1.2")


async def test_who_does_not_speak_it_is_dropped_and_holds_nobody_up(
    serving: Any, tls: Tls, authority: trustme.CA, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE", 0.4)
    async with serving("127.0.0.1:0", tls=tls) as served:
        for said in (GET, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)):
            with trio.fail_after(2):
                assert b"HTTP" not in await served.say(said)
        silent = [await served.connect() for _ in range(3)]
        with trio.fail_after(2):
            heard, *_ = await shown(served, trusting(authority))
            assert heard.startswith(b"HTTP/1.1 200")
            for stream in silent:
                assert await stream.receive_some() == b""
                await stream.aclose()
        async with await served.connect():  # one in the middle of its handshake
            began = trio.current_time()
            served.stopping.set()
            await served.ended.wait()
            assert trio.current_time() - began < 1.0
    assert not caplog.records


async def test_a_client_of_tls_that_never_reads_cannot_put_off_the_end(
    serving: Any, tls: Tls, authority: trustme.CA, world: Any
) -> None:
    jobs = tuple(Job(id=str(number), state="done", name="x" * 5000) for number in range(4000))
    world.change(jobs=jobs)
    async with serving("127.0.0.1:0", tls=tls) as served:
        plain = await served.connect()
        stream = trio.SSLStream(plain, trusting(authority), server_hostname="127.0.0.1")
        await stream.send_all(b"GET /dashboard.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await stream.receive_some(1)
        await trio.testing.wait_all_tasks_blocked(0.1)
        began = trio.current_time()
        served.stopping.set()
        await served.ended.wait()
        assert trio.current_time() - began < server.GRACE + 2
        await plain.aclose()


async def test_new_files_are_shown_to_new_connections(
    serving: Any, world: Any, tls: Tls, authority: trustme.CA, monkeypatch: Any
) -> None:
    monkeypatch.setattr(renewing, "EVERY", 0.05)
    trust = trusting(authority)
    async with serving("127.0.0.1:0", tls=tls) as served:
        _, first, *_ = await shown(served, trust)
        async with httpx.AsyncClient(verify=trust, trust_env=False) as kept:
            url = f"{served.monitor.addresses[0]}/healthz"
            await kept.get(url)
            good = tls.cert.read_bytes()
            tls.cert.write_text("nothing")
            await until(lambda: not world.reports[-1][1])
            text = world.reports[-1][0]
            assert text.startswith(f"tls: {tls.cert} and {tls.key} are no certificate and its key")
            assert text.endswith("; the old one is still shown")
            assert (await shown(served, trust))[1] == first
            put(tls, authority.issue_cert("127.0.0.1"))
            await until(lambda: world.reports[-1][1])
            assert world.reports[-1][0].startswith("serves https://")
            _, second, *_ = await shown(served, trust)
            assert second != first
            assert (await kept.get(url)).status_code == 200
            tls.cert.write_bytes(good)  # it does not belong to the key
            await until(lambda: not world.reports[-1][1])
            assert (await shown(served, trust))[1] == second
            tls.key.unlink()
            await until(lambda: "cannot be read" in world.reports[-1][0])
            assert (await shown(served, trust))[1] == second


@pytest.mark.parametrize("path", [Path("/dev/zero"), Path("/dev/null")])
def test_a_device_is_no_file(tls: Tls, path: Path) -> None:
    for made in (Tls(cert=path, key=tls.key), Tls(cert=tls.cert, key=path)):
        with pytest.raises(OSError, match=f"^tls: {path} is not a file$"):
            load(made)


async def until(true: Any) -> None:
    with trio.fail_after(5):
        while not true():  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.02)


def test_files_that_did_not_change_are_not_read(tls: Tls, monkeypatch: Any) -> None:
    certificate = Certificate(tls)
    shown = certificate.context
    with monkeypatch.context() as patch:
        patch.setattr("scaler_monitor.serving.certificate.load", None)
        same = certificate.look()
    assert not isinstance(same, str)
    certificate.take(same)
    assert certificate.context is shown
    os.utime(tls.cert, ns=(1, 1))
    other = certificate.look()
    assert not isinstance(other, str)
    certificate.take(other)
    assert certificate.context is not shown


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o640, 0o600, 0o400])
def test_d26_a_key_that_all_can_read_is_refused(tls: Tls, mode: int) -> None:
    tls.key.chmod(mode)
    if mode in (0o640, 0o600, 0o400):
        load(tls)
        return
    with pytest.raises(OSError, match=rf"mode {mode:04o}.*wanted 0640 or 0600"):
        load(tls)


def encrypted(key: bytes) -> bytes:
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a word"),
    )


async def test_files_that_cannot_be_used_are_one_clear_line(
    make: Any, tls: Tls, authority: trustme.CA, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(str(other))
    other.chmod(0o600)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(encrypted(other.read_bytes()))
    locked.chmod(0o600)
    none = tmp_path / "none.pem"
    for found, text in (
        (Tls(cert=none, key=tls.key), f"tls: {none} cannot be read: No such file or directory"),
        (Tls(cert=tls.cert, key=other), "are no certificate and its key: they do not belong"),
        (Tls(cert=tls.key, key=tls.key), "are no certificate and its key: wanted PEM"),
        (Tls(cert=tls.cert, key=locked), "wanted PEM, the key not encrypted"),
    ):
        monitor, _ = make("127.0.0.1:0", tls=found)
        with pytest.raises(Unavailable, match=r"^tls: ") as caught:
            await monitor.run_service(trio.TASK_STATUS_IGNORED)
        told = str(caught.value)
        assert text in told
        [_, *findings] = await monitor.check()
        assert [each.text for each in findings if not each.ok] == [told]
    monitor, _ = make("127.0.0.1:0", tls=tls)
    assert f"shows the certificate {tls.cert}" in [each.text for each in await monitor.check()]
