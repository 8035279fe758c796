"""Two doors: who comes in by which, what is behind it, and whose word on an address counts."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import trio
from werkzeug.routing import Rule

from scaler import Context, Unavailable
from scaler_monitor import app, settings
from scaler_monitor.page.live import Live
from scaler_monitor.serving.hosts import Hosts
from scaler_monitor.settings import StaticFolder
from scaler_monitor.site import Door, Site

HEADERS = {
    "X-Forwarded-For": "192.0.2.7",
    "Forwarded": "for=192.0.2.7",
    "X-Real-IP": "192.0.2.7",
    "Client-IP": "192.0.2.7",
    "True-Client-IP": "192.0.2.7",
    "CF-Connecting-IP": "192.0.2.7",
    "X-Client-IP": "192.0.2.7",
    "X-Cluster-Client-IP": "192.0.2.7",
    "X-Forwarded": "192.0.2.7",
    "X-ProxyUser-Ip": "192.0.2.7",
    "Remote-Addr": "192.0.2.7",
    "Via": "1.1 192.0.2.7",
}
COUNTS = ("X-Forwarded-For", "Forwarded")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8", "::1/128"), ("10.0.0.0/8", "unix")])
async def test_d16_no_header_makes_a_guest(
    serving: Any, world: Any, header: str, trusted: tuple[str, ...]
) -> None:
    sent = {header: HEADERS[header]}
    listen = ("127.0.0.1:0", "[::1]:0")
    async with serving(*listen, guest_listen=listen, trusted_proxies=trusted) as served:
        for number, own in enumerate(("127.0.0.1", "::1")):
            world.guests.clear()
            for path in ("/boot", "/github-jitconfig"):
                async with served.client(number, guests=True) as client:
                    assert (await client.get(path, headers=sent)).status_code == 404
            assert world.guests == [(own, None)] * 2
            async with served.client(number) as client:
                await client.get("/boot", headers=sent)
            believed = header in COUNTS and own in ("127.0.0.1", "::1") and "::1/128" in trusted
            assert world.guests[2:] == [("192.0.2.7" if believed else own, None)]


async def test_d16_who_comes_by_a_unix_socket_has_no_address(
    serving: Any, world: Any, tmp_path: Path
) -> None:
    told = {"X-Forwarded-For": "192.0.2.7"}
    people, guests = f"unix:{tmp_path}/people", f"unix:{tmp_path}/guests"
    for trusted, seen in (((), ""), (("unix",), "192.0.2.7")):
        world.guests.clear()
        async with serving(people, guest_listen=(guests,), trusted_proxies=trusted) as served:
            for door in (False, True):
                async with served.client(guests=door) as client:
                    await client.get("/boot", headers=told)
        assert world.guests == [(seen, None), ("", None)]


def rules(door: Door, tmp_path: Path) -> list[Rule]:
    folder = {"/image-deps": StaticFolder(path=tmp_path)}
    context: Any = Context(
        name="monitor",
        scaler="here",
        config=settings.Config(static=folder),
        profiles={},
        own={},
        folder=tmp_path,
        log=None,  # type: ignore[arg-type]
        stopping=trio.Event(),
        core=None,  # type: ignore[arg-type]
    )
    return list(app.build(Site(context, Live(context)), door).url_map.iter_rules())


def example(rule: Rule) -> str:
    """A path that the rule takes."""
    known = {"key": "linux", "count": "1", "id": "1", "number": "1"}
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", lambda match: known.get(match[1], "x"), rule.rule)


async def test_d20_guests_get_what_they_boot_with_and_nothing_else(
    serving: Any, tmp_path: Path
) -> None:
    ours = {"/boot", "/github-jitconfig", "/image-deps/<path:path>"}
    assert {rule.rule for rule in rules(Door.GUESTS, tmp_path)} == ours
    behind = [rule for rule in rules(Door.PEOPLE, tmp_path) if rule.rule not in ours]
    assert len({rule.rule for rule in behind}) > 10
    (tmp_path / "file").write_text("text")
    (tmp_path / ".hidden").write_text("text")
    folder = {"/image-deps": StaticFolder(path=tmp_path)}
    async with (
        serving(guest_listen=("127.0.0.1:0",), static=folder) as served,
        served.client(guests=True) as guest,
        served.client() as person,
    ):
        for rule in behind:
            path = example(rule)
            for method in (rule.methods or set()) | {"GET", "POST", "DELETE", "OPTIONS", "HEAD"}:
                answer = await guest.request(method, path)
                assert answer.status_code == 404, (method, path)
                if method != "HEAD":
                    assert answer.json()["error"] == "not-found"
        for way in ("//dashboard.json", "/boot/../dashboard.json", "/image-deps/%2e%2e/healthz"):
            said = f"GET {way} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            heard = await served.say(said.encode(), guests=True)
            assert heard.startswith(b"HTTP/1.1 404"), way
        for client in (guest, person):
            assert (await client.get("/image-deps/file")).text == "text"
            assert (await client.get("/image-deps/.hidden")).status_code == 404
            assert (await client.get("/boot")).json()["message"] == "no machine has this address"
        assert (await person.get("/healthz")).status_code == 200


def test_no_static_folder_can_stand_before_a_path_of_ours(tmp_path: Path) -> None:
    for rule in rules(Door.PEOPLE, tmp_path):
        first = rule.rule.split("/")[1]
        assert first in settings.OURS | {"", "image-deps"}, rule.rule
        if first in settings.OURS:
            with pytest.raises(ValueError, match=r"^static: .* one of our own"):
                settings.Config(static={f"/{first}": StaticFolder(path=tmp_path)})


async def test_d26_a_unix_socket_is_its_owners_alone(serving: Any, tmp_path: Path) -> None:
    path, guests = tmp_path / "people", tmp_path / "guests"
    old = os.umask(0)
    try:
        async with serving(f"unix:{path}", guest_listen=(f"unix:{guests}",)):
            modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, guests)]
    finally:
        os.umask(old)
    assert modes == [0o600, 0o600]
    assert not path.exists()
    assert not guests.exists()


NAMES = {
    "localhost": 200,
    "LocalHost:80": 200,
    "localhost.": 200,
    "127.0.0.1": 200,
    "192.0.2.1:8000": 200,
    "[::1]": 200,
    "[2001:db8::1]:8000": 200,
    "ci.example.org": 200,
    "CI.example.org.:443": 200,
    "monitor.lan": 200,
    "monitor.lan:9": 200,
    "evil.example": 403,
    "ci.example.org.evil.example": 403,
    "evil.example:127.0.0.1": 403,
    "xlocalhost": 403,
    "localhost.evil.example": 403,
    "127.0.0.1.evil.example": 403,
    "127.0.0.1.nip.io": 403,
    "lan": 403,
    "monitor.lan@evil.example": 403,
    "evil.example#monitor.lan": 403,
    "[::1].evil.example": 403,
    "[evil.example]": 403,
    "localhost:": 403,
    "localhost:x": 403,
    "localhost, evil.example": 403,
    "0x7f.1": 403,
    "": 403,
}


@pytest.mark.parametrize("guests", [False, True])
async def test_d28_a_name_that_is_not_ours_is_refused(serving: Any, guests: bool) -> None:
    named = {
        "external_base_url": "https://ci.example.org/scaler",
        "allowed_hosts": ("monitor.lan",),
        "guest_listen": ("127.0.0.1:0",),
    }
    async with serving(**named) as served, served.client(guests=guests) as client:
        for name, status in NAMES.items():
            answer = await client.get("/boot" if guests else "/healthz", headers={"Host": name})
            refused = answer.json().get("error") == "unknown-host"
            assert refused is (status == 403), name
            assert (answer.status_code == 403) is refused
        old = await served.say(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert old.startswith(b"HTTP/1.1 200")


def test_d28_names_in_listen_are_ours() -> None:
    config = settings.Config(
        listen=("vm-host.example:80", "unix:/run/monitor"), guest_listen=("bridge.lan:80",)
    )
    hosts = Hosts.of(config)
    assert hosts.allow("VM-Host.example:80")
    assert hosts.allow("bridge.lan")
    for name in ("example", "host.example", "unix", "run", ""):
        assert not hosts.allow(name)


async def test_d28_pages_of_other_sites_are_refused_whatever_they_do(serving: Any) -> None:
    async with serving(external_base_url="https://ci.example.org/") as served:
        own = served.monitor.addresses[0]
        host = own.removeprefix("http://")
        cases = {
            (own, host): True,
            ("https://ci.example.org", "ci.example.org"): True,
            ("https://ci.example.org", host): True,  # through a proxy that changes the name
            ("http://ci.example.org", host): False,
            ("https://ci.example.org:444", host): False,
            ("https://ci.example.org.evil.example", host): False,
            ("https://evil.example", host): False,
            ("null", host): False,
            ("", host): False,
            ("file://", host): False,
            (f"ftp://{host}", host): False,
            ("http://localhost", host): False,
        }
        async with served.client() as client:
            for (origin, name), good in cases.items():
                for method in ("GET", "POST", "DELETE", "OPTIONS"):
                    sent = {"Origin": origin, "Host": name}
                    if method == "OPTIONS":
                        sent["Access-Control-Request-Method"] = "POST"
                    answer = await client.request(method, "/policy/override", headers=sent)
                    foreign = answer.status_code == 403 and "foreign-origin" in answer.text
                    assert foreign is not good, (origin, name)
                    told = [each for each in answer.headers if each.startswith("access-control")]
                    assert not told
                    assert "set-cookie" not in answer.headers


async def test_every_answer_says_how_little_a_browser_may_do_with_it(serving: Any) -> None:
    async with serving() as served:
        async with served.client() as client:
            for path in ("/healthz", "/nope", "/metrics"):
                headers = (await client.get(path)).headers
                assert headers["Content-Security-Policy"] == (
                    "default-src 'none'; frame-ancestors 'none'"
                ), path
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["Cache-Control"] == "no-store"
            for path in ("/", "/dashboard.html"):
                policy = (await client.get(path)).headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
        heard = (await served.say(b"nonsense\r\n\r\n")).lower()
        assert b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n" in heard
        assert b"x-content-type-options: nosniff\r\n" in heard
        assert b"cache-control: no-store\r\n" in heard


async def test_the_doors_have_their_own_addresses(serving: Any, world: Any) -> None:
    async with serving(guest_listen=("127.0.0.1:0", "[::1]:0")) as served:
        [people] = served.monitor.addresses
        v4, v6 = served.monitor.guest_addresses
        assert v6.startswith("http://[::1]:")
        assert world.reports[-1] == (f"serves {people}, guests at {v4}, {v6}", True)
        for number in range(2):
            async with served.client(number, guests=True) as client:
                assert (await client.get("/boot")).status_code == 404
                assert (await client.get("/healthz")).status_code == 404
    assert served.monitor.guest_addresses == ()


async def test_an_address_of_guests_that_is_taken_is_told_and_nothing_stays(
    serving: Any, make: Any, world: Any
) -> None:
    async with serving() as served:
        port = served.monitor.addresses[0].rpartition(":")[2]
        other, _ = make("127.0.0.1:0", guest_listen=(f"127.0.0.1:{port}",))
        with pytest.raises(Unavailable, match="cannot listen") as caught:
            await other.run_service(trio.TASK_STATUS_IGNORED)
        assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"
        assert other.addresses == other.guest_addresses == ()
