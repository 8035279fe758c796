"""The durable record: SQLite, one writer thread, grouped commits."""

from scaler.ledger.ledger import Ledger, LedgerError
from scaler.ledger.stored import Stored

__all__ = ["Ledger", "LedgerError", "Stored"]
