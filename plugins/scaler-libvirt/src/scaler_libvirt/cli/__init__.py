"""Commands that this distribution brings."""
