"""The ledger's tables. Rows are JSON: fields may be added without a new version."""

VERSION = 1

CREATE = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
  plugin TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (plugin, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
  profile TEXT NOT NULL, id TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (profile, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS demand (profile TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runners (id INTEGER PRIMARY KEY, row TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS grants (unique_id TEXT PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
"""

#: The key columns of every table, which come first.
KEYS = {
    "meta": ("key",),
    "facts": ("plugin", "key"),
    "jobs": ("profile", "id"),
    "demand": ("profile",),
    "runners": ("id",),
    "grants": ("unique_id",),
}
