"""The certificates that a server's is held against, where the settings name some."""

from __future__ import annotations

import hashlib
import ssl


def check_authorities(path: str) -> str:
    """See that a file holds certificates that can be trusted.

    Returns:
        What tells them from others.

    Raises:
        ValueError: It does not, and why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"there are no certificates (PEM) in {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError(f"there are no certificates (PEM) in {path}")
    each = (hashlib.sha256(one).hexdigest() for one in context.get_ca_certs(binary_form=True))
    return " ".join(sorted(each))
