"""What a request costs over connections that are kept: httpx as it comes, ours, and bare h11.

    python benchmarks/transport.py              both tables, as they are kept with --save
    python benchmarks/transport.py --delay 5 --tasks 1,20 --requests 500    the first one alone
    python benchmarks/transport.py --burst 500 --delay 20 --tasks 20,64     the second one alone

The first table has a line for each client, with and without TLS, and each number of tasks that ask
at once: microseconds of this process's CPU for a request, and requests a second. In the second one
(`--burst`) so many tasks ask once, all at the same time, over so many connections: seconds of time
and of CPU, first with connections to be made, then with those that are there. The server is a
process of its own that answers fixed bytes. The last figures are in
`docs/explanation/transport.md`.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h11
import httpx
import trio
import trustme
from bench import results

from scaler_github.client.transport import HTTP, Request, Transport

BODY = b'{"runner":{"id":901,"name":"vm-k3j9"},"encodedJITConfig":"' + b"e" * 3000 + b'"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)
ANSWER += b"X-GitHub-Request-Id: 0A1B:2C3D\r\nX-RateLimit-Remaining: 4999\r\n\r\n" + BODY
ASKED = b'{"name":"vm-k3j9","workFolder":"_work"}'
HEADERS = {
    "Authorization": "Bearer " + "t" * 600,
    "Content-Type": "application/json",
    "Accept": "application/json",
}
PATH = "/_apis/runtime/runnerscalesets/7/generatejitconfig?api-version=6.0-preview"
TIMES = 3
REQUESTS, TASKS = 2000, [1, 20, 64]
BURST, BURST_DELAY, BURST_TASKS = 500, 20.0, [20, 64]
HEAD = ["client", "plain / TLS", "tasks", "CPU µs a request", "requests a second"]
BURST_HEAD = ["client", "plain / TLS", "connections", "cold, s", "cold, CPU s", "warm, s",
              "warm, CPU s"]  # fmt: skip

Ask = Callable[[], Awaitable[object]]


class Answer(asyncio.Protocol):
    """One answer for each request; a request ends with the end of its body."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while ASKED in self.seen:
            self.seen = self.seen.partition(ASKED)[2]
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self.transport.write, ANSWER)
            else:
                self.transport.write(ANSWER)


def serve(folder: str, delay: float, ports: multiprocessing.Queue[tuple[int, int]]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/server.pem")
        servers = [
            await loop.create_server(lambda: Answer(delay), "127.0.0.1", 0, ssl=tls, backlog=512)
            for tls in (None, context)
        ]
        plain, tls = (server.sockets[0].getsockname()[1] for server in servers)
        ports.put((plain, tls))
        await asyncio.Event().wait()

    asyncio.run(main())


class Bare:
    """The floor: a connection for each task, h11, and nothing else."""

    def __init__(self, url: httpx.URL, tls: ssl.SSLContext) -> None:
        self.url, self.tls = url, tls
        self.free: list[tuple[trio.abc.Stream, h11.Connection]] = []
        self.headers = [
            ("Host", url.netloc.decode()),
            ("Content-Length", str(len(ASKED))),
            *HEADERS.items(),
        ]

    async def ask(self) -> None:
        if self.free:
            stream, http = self.free.pop()
        else:
            stream = await trio.open_tcp_stream(self.url.host, self.url.port or 0)
            if self.url.scheme == "https":
                stream = trio.SSLStream(stream, self.tls, server_hostname=self.url.host)
            http = h11.Connection(h11.CLIENT)
        request = h11.Request(method="POST", target=self.url.raw_path, headers=self.headers)
        data = http.send(request) + http.send(h11.Data(data=ASKED)) + http.send(h11.EndOfMessage())
        await stream.send_all(data)
        while (event := http.next_event()) is h11.NEED_DATA or type(event) is not h11.EndOfMessage:
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(65536)))
        http.start_next_cycle()
        self.free.append((stream, http))


async def repeat(ask: Ask, requests: int, tasks: int) -> tuple[float, float]:
    """CPU and seconds for some requests, dealt to some tasks."""
    left = requests

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ask()

    async with trio.open_nursery() as nursery:  # the connections are opened before it counts
        for _ in range(tasks):
            nursery.start_soon(ask)
    cpu, began = time.process_time(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(work)
    return time.process_time() - cpu, time.perf_counter() - began


async def measure(url: str, ca: Path, requests: int, tasks: int) -> list[dict[str, Any]]:
    """A row for each client."""
    rows: list[dict[str, Any]] = []
    tls = ssl.create_default_context(cafile=str(ca))
    kind = "TLS" if url.startswith("https") else "plain"
    limits = httpx.Limits(
        max_connections=tasks, max_keepalive_connections=tasks, keepalive_expiry=60
    )

    async def line(name: str, ask: Ask, requests: int = requests) -> None:
        best = (math.inf, math.inf)
        for _ in range(TIMES):
            best = min(best, await repeat(ask, requests, tasks))
        cpu, seconds = best
        row = {"client": name, "kind": kind, "tasks": tasks}
        row |= {"us": round(cpu / requests * 1e6), "per_second": round(requests / seconds)}
        rows.append(row)
        print(f"| {' | '.join(cells(row))} |", flush=True)

    async with httpx.AsyncClient(verify=tls, limits=limits, trust_env=False) as stock:
        few = max(2 * tasks, requests // tasks)  # it may take 10 ms a request
        await line(
            "httpx.AsyncClient", lambda: stock.post(url, content=ASKED, headers=HEADERS), few
        )
    ours = HTTP(tls, connections=tasks)

    async def exchange() -> None:
        request = httpx.Request("POST", url, content=ASKED, headers=HEADERS)
        answer = await ours.handle_async_request(request)
        await answer.aread()

    await line("ours, by httpx's types", exchange)
    await ours.aclose()
    transport = Transport(ca_file=str(ca), authorities=False, connections=tasks)
    async with transport:
        await line(
            "ours, Transport.call", lambda: transport.call(Request("POST", url, HEADERS, ASKED))
        )
    bare = Bare(httpx.URL(url), tls)
    await line("bare h11 on trio", bare.ask)
    for stream, _ in bare.free:
        await trio.aclose_forcefully(stream)
    return rows


async def burst(url: str, ca: Path, requests: int, connections: int) -> list[dict[str, Any]]:
    """A row for each client."""
    rows: list[dict[str, Any]] = []
    tls = ssl.create_default_context(cafile=str(ca))
    kind = "TLS" if url.startswith("https") else "plain"

    async def line(name: str, ask: Ask) -> None:
        row = {"client": name, "kind": kind, "connections": connections}
        for state in ("cold", "warm"):
            cpu, began = time.process_time(), time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(requests):
                    nursery.start_soon(ask)
            seconds = time.perf_counter() - began
            used = time.process_time() - cpu
            row |= {f"{state}_s": round(seconds, 2), f"{state}_cpu_s": round(used, 2)}
        rows.append(row)
        print(f"| {' | '.join(burst_cells(row))} |", flush=True)

    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=60
    )
    turns = trio.Semaphore(connections)  # without it, httpx's pool takes many times as long
    async with httpx.AsyncClient(verify=tls, limits=limits, trust_env=False, timeout=60) as stock:

        async def post() -> None:
            async with turns:
                await stock.post(url, content=ASKED, headers=HEADERS)

        await line("httpx.AsyncClient", post)
    async with Transport(ca_file=str(ca), authorities=False, connections=connections) as transport:
        request = Request("POST", url, HEADERS, ASKED)
        await line("ours, Transport.call", lambda: transport.call(request))
    return rows


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the first table, in the order of HEAD."""
    return [str(row[key]) for key in ("client", "kind", "tasks", "us", "per_second")]


def burst_cells(row: dict[str, Any]) -> list[str]:
    """A row of the second table, in the order of BURST_HEAD."""
    times = (f"{row[key]:.2f}" for key in ("cold_s", "cold_cpu_s", "warm_s", "warm_cpu_s"))
    return [row["client"], row["kind"], str(row["connections"]), *times]


@contextmanager
def serving(delay: float) -> Iterator[tuple[list[str], Path]]:
    """A server that answers after so many milliseconds: its addresses, and whom to trust."""
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        ca = Path(folder, "ca.pem")
        authority.cert_pem.write_to_path(str(ca))
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
        server = context.Process(target=serve, args=(folder, delay / 1000, ports), daemon=True)
        server.start()
        try:
            plain, tls = ports.get(timeout=30)
            yield [f"http://127.0.0.1:{plain}{PATH}", f"https://127.0.0.1:{tls}{PATH}"], ca
        finally:
            server.terminate()
            server.join()


def repeats(delay: float, requests: int, tasks: list[int]) -> list[dict[str, Any]]:
    """The first table, printed as it comes."""
    rows = []
    print(results.table(HEAD, []))
    with serving(delay) as (urls, ca):
        for url in urls:
            for count in tasks:
                rows += trio.run(measure, url, ca, requests, count)
    return rows


def bursts(delay: float, requests: int, connections: list[int]) -> list[dict[str, Any]]:
    """The second table, printed as it comes."""
    rows = []
    print(results.table(BURST_HEAD, []))
    with serving(delay) as (urls, ca):
        for url in urls:
            for count in connections:
                rows += trio.run(burst, url, ca, requests, count)
    return rows


def main() -> int:
    parser = results.arguments(__doc__ or "")
    add = parser.add_argument
    add("--delay", type=results.milliseconds, help="milliseconds before each answer (0)")
    add("--requests", type=results.positive, help=f"of each line ({REQUESTS}; 200 if --quick)")
    add("--tasks", type=results.several, metavar="N,N", help="so many at once, several values")
    add("--burst", type=results.positive, metavar="N", help="so many at once, once")
    given = parser.parse_args()
    own = any(value is not None for value in (given.delay, given.tasks, given.burst))
    if given.save and (own or given.requests):
        parser.error("--save keeps both tables as they are: without other options than --quick")
    if given.burst and given.requests:
        parser.error("--requests is not for --burst")
    requests = given.requests or (200 if given.quick else REQUESTS)
    try:
        if given.burst:
            bursts(given.delay or 0.0, given.burst, given.tasks or BURST_TASKS)
            return 0
        rows = repeats(given.delay or 0.0, requests, given.tasks or TASKS)
        if own:
            return 0
        print()
        burst_rows = bursts(BURST_DELAY, 100 if given.quick else BURST, BURST_TASKS)
    except KeyboardInterrupt:
        return 130
    if given.save:
        results.save("transport", {"rows": rows, "burst": burst_rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
