"""The command line, taken apart."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from monitor.__main__ import build_parser


def parsers() -> Iterator[argparse.ArgumentParser]:
    """Of the program, of its commands and of their parts."""
    left = [build_parser()]
    while left:
        parser = left.pop()
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                left += action.choices.values()
