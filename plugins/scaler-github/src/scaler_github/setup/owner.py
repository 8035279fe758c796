"""The organization, repository or enterprise of the url, and whether Actions is on there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scaler_github.client.rights import single_sign_on
from scaler_github.setup.findings import unseen, useful, well, wrong

if TYPE_CHECKING:
    from scaler import Finding
    from scaler_github.setup.asking import Answer
    from scaler_github.setup.rights import Signed
    from scaler_github.setup.where import Where


def place(where: Where, signed: Signed, answer: Answer) -> list[Finding]:
    """What GitHub says of the organization or repository; `elsewhere` for a 404 of the former."""
    scope = where.scope
    if answer.ok:
        found = [well(f"{scope} is there")]
        if answer.told.get("archived") is True:
            text = f"{scope} is archived: no workflow runs there"
            found.append(wrong(text, f"Unarchive it at {where.scope.web}/{scope.name}/settings."))
        return found
    if single_sign_on := sso(where, answer):
        return [single_sign_on]
    if 300 <= answer.status < 400:
        fix = f"Set {where.setting}.url to its address now: open {scope.url} in a browser."
        return [wrong(f"{scope} has moved to another name", fix)]
    if answer.status == 404:
        return [wrong(f"there is no {scope} that the {signed} may see", _missing(where, signed))]
    return [unseen(f"{scope} itself cannot be seen: {answer.text}")]


def elsewhere(where: Where, answer: Answer) -> list[Finding]:
    """No organization of this name was seen: what `GET /users/NAME` says."""
    name, url = where.scope.name, f"{where.setting}.url"
    kind = answer.told.get("type") if answer.ok else None
    if kind == "User":
        return [
            wrong(
                f"{name} is a person's account, and no organization",
                f"Runners of a person's account belong to one of its repositories: set {url} to "
                f'"{where.scope.web}/{name}/REPOSITORY".',
            )
        ]
    if kind == "Organization":
        text = f"organization {name} is there, but this credential may not see it"
        return [wrong(text, f"It must be one of {name}, or of a member of it.")]
    return [
        wrong(
            f"there is no organization {name} at {urlsplit(where.scope.web).netloc}",
            f'Is {url} = "{where.scope.url}" written as a browser shows it?',
        )
    ]


def _missing(where: Where, signed: Signed) -> str:
    name = where.scope.name
    right = f'Is {where.setting}.url = "{where.scope.url}" written as a browser shows it? If so, '
    if signed.form == "classic" and "repo" not in signed.scopes:
        return f"{right}the token needs the scope repo: tick it at {where.tokens}."
    if signed.form == "fine-grained":
        return f"{right}choose {name} among the token's repositories at {where.fine_grained}."
    if signed.form == "app":
        return f"{right}choose {name} among the App's repositories at {where.installation}."
    return f"{right}{signed.login or 'whose token it is'} must be an administrator of {name}."


def sso(where: Where, answer: Answer) -> Finding | None:
    """Whether the organization demands that the token be authorised for its single sign-on."""
    page = single_sign_on(answer.headers)
    if page is None:
        return None
    then = f" (or open {page})" if page else ""
    return wrong(
        f"the token is not authorised for the single sign-on of {where.owner}",
        f"At {where.tokens}, press Configure SSO beside the token, then Authorize beside "
        f"{where.owner}{then}.",
    )


def permissions(where: Where, answer: Answer) -> list[Finding]:
    """Whether Actions is on; what GitHub says of `actions/permissions`."""
    scope = where.scope
    if not answer.ok:
        reason = f" ({answer.status})" if answer.status in (403, 404) else f": {answer.text}"
        return [unseen(f"whether Actions is on in {scope} cannot be seen{reason}")]
    key, many = {
        "organization": ("enabled_repositories", "repositories"),
        "repository": ("enabled", ""),
        "enterprise": ("enabled_organizations", "organizations"),
    }[scope.kind]
    value = answer.told.get(key)
    if value in (False, "none"):
        return [wrong(f"Actions is off in {scope}", f"Turn it on at {where.actions}.")]
    if value == "selected":
        text = f"Actions is on in {scope}, for selected {many} only: no jobs come from others"
        return [well(text)]
    if value in (True, "all"):
        return [well(f"Actions is on in {scope}")]
    return [unseen(f"whether Actions is on in {scope} is not told")]


def scarce(told: object, now: float) -> list[Finding]:
    """Whether so few REST calls are left that only runners get them.

    Args:
        told: `Limits.facts()`.
        now: Unix seconds.
    """
    core = told.get("rate_limits", {}).get("core") if isinstance(told, dict) else None
    if not core or core["remaining"] > core["reserve"]:
        return []
    left, most = core["remaining"], core["limit"]
    minutes = max(1, round((core["resets_at"] - now) / 60))
    return [
        useful(
            f"{left} of {most} REST calls are left for the next {minutes} min: they are kept for "
            "registering runners",
            "Look what else calls GitHub with this credential, and give scaler one of its own.",
        )
    ]
