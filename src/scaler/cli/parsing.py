"""What is not understood on the command line, with what may have been meant."""

from __future__ import annotations

import argparse
import difflib
from typing import NoReturn

from scaler.log import printable

_UNKNOWN = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """Names the option that is nearest to one that it does not know."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave."""
        if message.startswith(_UNKNOWN):
            known = [each for each in self._option_string_actions if each.startswith("--")]
            for word in message.removeprefix(_UNKNOWN).split():
                close = difflib.get_close_matches(word.partition("=")[0], known, n=1)
                if word.startswith("-") and close:
                    message += f' (did you mean "{close[0]}"?)'
                    break
        super().error(printable(message))
