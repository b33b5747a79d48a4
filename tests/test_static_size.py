"""The size of what the pages load: little code, short modules, nothing from another host."""

import re
from pathlib import Path

import pytest

from tests.service import ROOT

STATIC = ROOT / "web" / "pages" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
MOST_BYTES = 132_000  # of all scripts together; the goal is 120,000
MOST_LINES = 250
IMPORT = re.compile(r"""(?:\bfrom|^import|\bimport\()\s*["'`]([^"'`]+)""", re.MULTILINE)


def bytes_of(*kinds: str) -> int:
    """The bytes of all files of these kinds."""
    return sum(path.stat().st_size for path in STATIC.iterdir() if path.suffix in kinds)


def test_the_scripts_are_small() -> None:
    assert SCRIPTS and bytes_of(".js") <= MOST_BYTES


def test_the_styles_and_icons_are_small() -> None:
    assert 0 < bytes_of(".css", ".svg") <= 40_000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_short_and_imports_only_scripts_of_this_service(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert all(re.fullmatch(r"\./[\w${}]+\.js", name) for name in IMPORT.findall(text))
