"""The documents as tests read them: their pages, the code blocks in them, and the paths and modules they name."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```([a-z]*)( no-run)?\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Times and ids differ from run to run.
CHANGING = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
ANYTHING = "…"


@dataclass(frozen=True)
class Block:
    """One fenced code block; runs is False when its first line says no-run."""

    page: Path
    language: str
    runs: bool
    text: str


def text_of_all() -> str:
    """The text of every page."""
    return "\n".join(page.read_text() for page in PAGES)


def blocks(language: str, page: Path | None = None) -> list[Block]:
    """The code blocks of a language, on one page or on all."""
    pages = PAGES if page is None else [page]
    parsed = [Block(one, *_parts(match)) for one in pages for match in BLOCK.finditer(one.read_text())]
    return [block for block in parsed if block.language == language]


def commands(block: Block) -> list[tuple[str, str]]:
    """Each shell command of a console block, and the output that is shown after it ('' for none)."""
    return [(command, output.strip()) for command, output in COMMAND.findall(block.text)]


def matches(shown: str, output: str) -> bool:
    """True when the real output is what the page shows, apart from times, ids, and … for any text."""
    parts = [re.escape(CHANGING.sub("", part)) for part in shown.split(ANYTHING)]
    return re.fullmatch(".*".join(parts), CHANGING.sub("", output.strip()), re.S) is not None


def links(page: Path) -> list[str]:
    """The targets of the links of a page that are not on another host."""
    return [target for target in LINK.findall(BLOCK.sub("", page.read_text())) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The names of the headings of a page, as GitHub writes them in an address."""
    headings = re.findall("^#+ (.*)$", BLOCK.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _parts(match: re.Match[str]) -> tuple[str, bool, str]:
    return match[1], match[2] is None, match[3]
