"""What the headers of a REST answer tell about the credential that asked."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scaler_github.testing import rates, tokens

if TYPE_CHECKING:
    from scaler_github.testing.http import Request
    from scaler_github.testing.site import Site

_REGISTERING = {"registration-token", "runner-registration"}


def told(site: Site, request: Request, route: str, status: int) -> dict[str, str]:
    """The budget that the call was counted on, and the scopes and the end of a token.

    An answer of 401 speaks of the budget of requests without credentials.
    """
    person = None if status == 401 else site.caller(request)
    account = rates.ANONYMOUS if person is None else person.account
    resource = rates.REGISTRATION if route in _REGISTERING else rates.CORE
    rate = site.budgets.of(account, resource)
    headers = {
        "x-ratelimit-limit": str(rate.limit),
        "x-ratelimit-remaining": str(rate.remaining),
        "x-ratelimit-used": str(rate.used),
        "x-ratelimit-reset": str(int(rate.reset)),
        "x-ratelimit-resource": rate.resource,
    }
    version = site.world.options.version
    if version is not None:
        headers["x-github-enterprise-version"] = f"enterprise-server@{version}"
    if person is None or person.kind != tokens.PERSON:
        return headers
    if person.form == tokens.CLASSIC:
        headers["x-oauth-scopes"] = ", ".join(sorted(person.rights))
    if math.isfinite(person.expires):
        moment = datetime.fromtimestamp(person.expires, UTC)
        headers["github-authentication-token-expiration"] = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return headers
