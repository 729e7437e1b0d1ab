"""What is generated from code is what the code generates."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.generate import generated

ROOT = Path(__file__).parent.parent
FILES = generated(ROOT)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_committed_file_is_what_the_code_generates(path):
    assert (ROOT / path).read_text(encoding="utf-8") == FILES[path], f"{path} is out of date: run make docs"
