"""The ledger's tables, version by version. Rows are JSON: fields may come without a new version."""

from __future__ import annotations

#: What leads from the version before to this one; all of it is done in one transaction.
STEPS = {
    1: (
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE IF NOT EXISTS facts (
  plugin TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (plugin, key)
) WITHOUT ROWID""",
        """CREATE TABLE IF NOT EXISTS jobs (
  profile TEXT NOT NULL, id TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (profile, id)
) WITHOUT ROWID""",
        """CREATE TABLE IF NOT EXISTS demand (
  profile TEXT PRIMARY KEY, row TEXT NOT NULL
) WITHOUT ROWID""",
        "CREATE TABLE IF NOT EXISTS runners (id INTEGER PRIMARY KEY, row TEXT NOT NULL)",
        """CREATE TABLE IF NOT EXISTS grants (
  unique_id TEXT PRIMARY KEY, row TEXT NOT NULL
) WITHOUT ROWID""",
    ),
    2: (
        """CREATE TABLE IF NOT EXISTS orders (
  kind TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID""",
    ),
}

VERSION = max(STEPS)

#: The key columns of every table, which come first; one more holds what is kept.
KEYS = {
    "meta": ("key",),
    "facts": ("plugin", "key"),
    "jobs": ("profile", "id"),
    "demand": ("profile",),
    "runners": ("id",),
    "grants": ("unique_id",),
    "orders": ("kind", "name"),
}
