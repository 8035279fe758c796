"""The checks of every account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler import Finding
from scaler_github.client import GitHubError

if TYPE_CHECKING:
    from scaler import Context
    from scaler_github.account import Accounts


async def check(context: Context[Any, Any], accounts: Accounts) -> list[Finding]:
    """Look at every account."""
    del context
    findings = []
    for account in accounts:
        try:
            async with account.open():
                await account.credentials.admin()
        except GitHubError as error:
            findings.append(Finding(ok=False, text=str(error)))
        except OSError as error:  # a file of certificates that is not there, or none
            findings.append(Finding(ok=False, text=f"no TLS: {error}", fix="look at ca_file"))
        else:
            text = f"the token may register runners with {account.scope}"
            findings.append(Finding(ok=True, text=text))
    return findings
