"""The way to GitHub: what each failure on it is called, and what is to be done."""

import pytest

from scaler_github.client import parse_config_url
from scaler_github.setup import way
from scaler_github.setup.asking import Answer
from scaler_github.setup.where import Where

HOSTED = Where(parse_config_url("https://github.com/acme", {}), "plugins.github", "the file t")
SERVER = Where(parse_config_url("https://git.corp/acme", {}), "plugins.github", "the file t")
PROXIED = Where(
    parse_config_url("https://github.com/acme", {}),
    "plugins.github.connections.two",
    "the file t",
    proxy="plugins.github.connections.two.proxy",
    ca_file="/etc/ca.pem",
)
GITHUB = {"x-github-request-id": "1"}


@pytest.mark.parametrize(
    ("where", "why", "text", "fix"),
    [
        (
            SERVER,
            "ConnectError: git.corp:443: Name or service not known",
            "no host git.corp",
            'plugins.github.url = "https://git.corp/acme"',
        ),
        (
            HOSTED,
            "ConnectError: api.github.com:443: Temporary failure in name resolution",
            "api.github.com could not be looked up",
            "name server",
        ),
        (
            HOSTED,
            "ConnectError: api.github.com:443: Connection refused",
            "nothing listens at api.github.com",
            "firewall",
        ),
        (
            HOSTED,
            "ConnectTimeout: no connection to api.github.com:443 within 10 s",
            "api.github.com does not answer",
            "plugins.github.proxy",
        ),
        (HOSTED, "no whole answer within 10 s", "api.github.com does not answer", "firewall"),
        (
            HOSTED,
            "ConnectTimeout: no connection to api.github.com:443 through the proxy p:1 within 9 s",
            "through the proxy p:1",
            "HTTPS_PROXY",
        ),
        (
            HOSTED,
            "ConnectError: the proxy p:3128: Connection refused",
            "the proxy cannot be reached: p:3128: Connection refused",
            "NO_PROXY=api.github.com",
        ),
        (
            PROXIED,
            "ConnectError: the proxy p:3128: Name or service not known",
            "the proxy cannot be reached: p:3128: Name",
            "whether plugins.github.connections.two.proxy names it right",
        ),
        (
            PROXIED,
            "the proxy refused: ProxyError: 407 Proxy Authentication Required",
            "wants to know who asks: 407",
            "in plugins.github.connections.two.proxy",
        ),
        (
            HOSTED,
            "the proxy refused: ProxyError: 403 Forbidden",
            "does not let us through to api.github.com: 403",
            "HTTPS_PROXY of the environment) allow api.github.com",
        ),
        (
            SERVER,
            "ConnectError: git.corp:443: TLS: the certificate is refused: "
            "unable to get local issuer certificate",
            "git.corp cannot be trusted: TLS: the certificate is refused: unable",
            "set plugins.github.ca_file",
        ),
        (
            PROXIED,
            "ConnectError: api.github.com:443: TLS: the certificate is refused: "
            "self-signed certificate in certificate chain",
            "TLS",
            "two.ca_file = /etc/ca.pem does not hold the authority",
        ),
        (
            SERVER,
            "ConnectError: git.corp:443: TLS: the certificate is refused: Hostname mismatch, "
            "certificate is not valid for 'git.corp'.",
            "Hostname mismatch",
            "to the name that its certificate is for",
        ),
        (
            SERVER,
            "ConnectError: git.corp:443: TLS: the certificate is refused: certificate has expired",
            "has expired",
            "clock",
        ),
        (
            SERVER,
            "ConnectError: git.corp:443: TLS: [SSL: WRONG_VERSION_NUMBER] wrong version number",
            "cannot be trusted",
            "speak TLS at all",
        ),
        (
            HOSTED,
            "ReadError: connection reset by peer",
            "api.github.com cannot be reached: connection reset by peer",
            "tries again",
        ),
    ],
)
def test_what_stands_in_the_way(where: Where, why: str, text: str, fix: str) -> None:
    finding = way.unreachable(where, why)
    assert (finding.ok, finding.need) == (False, "required")
    assert text in finding.text
    assert "Error: " not in finding.text
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("answer", "ok", "text", "fix"),
    [
        (Answer(200, {}, {"verifiable_password_authentication": True}), True, "answers", ""),
        (Answer(200, GITHUB, {"installed_version": "3.15.2"}), True, "Server 3.15.2", ""),
        (Answer(401, GITHUB), True, "answers", ""),  # an Enterprise Server in private mode
        (Answer(403, {}, {"documentation_url": "…"}), True, "answers", ""),
        (Answer(404, {"content-type": "text/html"}), False, "no GitHub: it answers 404", "url"),
        (Answer(200, {"content-type": "text/html; charset=x"}), False, "a web page", "url"),
        (Answer(200, {}, {"hello": 1}), False, "not what GitHub says", "url"),
        (
            Answer(302, {"location": "https://me:pw@login.corp/x?y=z"}),
            False,
            "a redirection to login.corp",
            "git.corp/acme",
        ),
        (Answer(302), False, "a redirection", "git.corp/acme"),
        (Answer(503, {"content-type": "text/html"}), False, "answers 503", "maintenance"),
        (Answer(502, GITHUB), False, "is ill: it answers 502", "tries again"),
        (Answer(407, {}), False, "407", "USER:PASSWORD"),
    ],
)
def test_who_answers(answer: Answer, ok: bool, text: str, fix: str) -> None:
    finding = way.answered(SERVER, answer)
    assert finding.ok is ok
    assert text in finding.text
    assert fix in finding.fix
    assert "pw" not in finding.text


def test_a_clock_that_is_wrong_is_worth_a_look() -> None:
    assert way.clock(30) == way.clock(-30) == []
    [behind], [ahead] = way.clock(400.2), way.clock(-90)
    assert "400 s behind GitHub's" in behind.text
    assert "90 s ahead of GitHub's" in ahead.text
    assert behind.need == "useful"
