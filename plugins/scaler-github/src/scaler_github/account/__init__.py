"""Accounts: a scope at GitHub, how to sign in there, and all that is reached by it."""

from scaler_github.account.account import Account, Accounts
from scaler_github.account.settings import App, Connection

__all__ = ["Account", "Accounts", "App", "Connection"]
