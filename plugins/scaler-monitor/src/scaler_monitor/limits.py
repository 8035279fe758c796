"""What a request may be, at most."""

BODY = 64 << 10  # bytes of a request's body; nothing asks for one
