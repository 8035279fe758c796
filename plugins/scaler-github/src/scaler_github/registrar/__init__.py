"""Runners that are registered by REST, one by one, with labels of their own."""

from scaler_github.registrar.registrar import Registrar

__all__ = ["Registrar"]
