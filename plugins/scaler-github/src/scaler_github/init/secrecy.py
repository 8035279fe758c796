"""Recognises a secret where somebody writes it by mistake, so that it is neither kept nor shown."""

from __future__ import annotations

import re

# GitHub's own marks (classic, OAuth, App, refresh and fine-grained tokens), and keys in PEM
_MARKED = re.compile(
    r"gh[a-z]_[A-Za-z0-9]|github_pat_|-----BEGIN|v1\.[0-9a-f]{20}|eyJ[A-Za-z0-9_-]{10}"
)
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32,}(?![0-9A-Za-z])", re.ASCII)
_RUN = re.compile(r"[A-Za-z0-9_+=-]{24,}", re.ASCII)
_LEAST_DIGITS = 2


def looks_secret(text: str) -> bool:
    """Whether a text is, or holds, what is more likely a token or a key than a name."""
    if _MARKED.search(text):
        return True
    # words joined by - or _ have long names, too: each word is looked at by itself, and the whole
    return any(_random(run) for run in _RUN.findall(text)) or any(
        any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
        for run in _HEX.findall(text)
    )


def _random(run: str) -> bool:
    digits = sum(c.isdigit() for c in run)
    mixed = any(c.islower() for c in run) and any(c.isupper() for c in run)
    longest = max(map(len, re.split(r"[_-]", run)))
    return mixed and digits >= _LEAST_DIGITS and longest >= 20


def hidden(text: str) -> str:
    """A text for people, with everything that looks like a secret in it taken out."""
    words = re.split(r"(\s+|[='\",])", text)
    return "".join("***" if looks_secret(word) else word for word in words)
