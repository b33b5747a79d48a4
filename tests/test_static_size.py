"""The size of what the pages load: little code, short modules, nothing from another host."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.conftest import Server, wait_for
from tests.played import page, serving_takes
from tests.service import ROOT, accepted
from tests.test_browser import CHROMIUM, chromium, window

__all__ = ["chromium", "page", "window"]
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
STATIC = ROOT / "web" / "pages" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
MOST_BYTES = 133_600  # of all scripts together; no page loads them all
MOST_LINES = 250
MOST_BYTES_OF_A_PAGE = 120_000  # of the scripts and styles that it loads, unzipped
LOADED = """() => Object.fromEntries(performance.getEntriesByType("resource")
  .map(({ name, decodedBodySize }) => [new URL(name).pathname.split("/").pop(), decodedBodySize])
  .filter(([name]) => /[.](js|css)$/.test(name)))"""
IMPORT = re.compile(r"""(?:\bfrom|^import|\bimport\()\s*["'`]([^"'`]+)""", re.MULTILINE)


def bytes_of(*kinds: str) -> int:
    """The bytes of all files of these kinds."""
    return sum(path.stat().st_size for path in STATIC.iterdir() if path.suffix in kinds)


def test_the_scripts_are_small() -> None:
    assert SCRIPTS and bytes_of(".js") <= MOST_BYTES


def test_the_styles_and_icons_are_small() -> None:
    assert 0 < bytes_of(".css", ".svg") <= 40_400


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_short_and_imports_only_scripts_of_this_service(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert all(re.fullmatch(r"\./[\w${}]+\.js", name) for name in IMPORT.findall(text))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a job of three takes and with lyrics."""
    with serving_takes(tmp_path_factory.mktemp("size")) as service:
        service.call("PATCH", "/api/jobs/takes", {"metadata": {"lyrics": "[00:01.00]la"}})
        for prompt in ("one", "two"):
            accepted(service.call("POST", "/api/jobs", {"prompt": prompt, "job_type": "none"}))
        yield service


@needs_chromium
@pytest.mark.parametrize(
    ("path", "scripts"),
    [
        ("/", {"list.js"}),
        ("/?show=waiting", {"list.js"}),
        ("/tracks", {"tracks.js", "list.js"}),
        ("/jobs/takes", {"job.js", "forms.js", "log.js", "lyrics.js"}),
        ("/tracks/takes-1", {"track.js", "forms.js", "lyrics.js"}),
        ("/new", {"forms.js"}),
        ("/new/many", set()),
        ("/jobs/takes/delete", {"forms.js"}),
    ],
)
def test_a_page_loads_little(page: Page, played: Server, path: str, scripts: set[str]) -> None:
    page.goto(played.url + path)
    sizes = wait_for(lambda: scripts <= set(loaded := page.evaluate(LOADED)) and loaded, 30)
    assert sizes["app.css"] == (STATIC / "app.css").stat().st_size
    assert sum(sizes.values()) <= MOST_BYTES_OF_A_PAGE


@needs_chromium
def test_the_player_is_loaded_with_the_first_sound(page: Page, played: Server) -> None:
    parts = {"bar.js", "gone.js", "media.js"}
    page.goto(played.url + "/tracks/takes-1")
    wait_for(lambda: "forms.js" in page.evaluate(LOADED), 30)
    assert not parts & set(page.evaluate(LOADED))
    page.get_by_role("button", name="Play Track takes-1").click()
    wait_for(lambda: parts <= set(page.evaluate(LOADED)), 30)
