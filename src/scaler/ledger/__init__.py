"""The durable record: SQLite, one writer thread, grouped commits."""

from scaler.ledger.ledger import Ledger, LedgerError, Stored

__all__ = ["Ledger", "LedgerError", "Stored"]
