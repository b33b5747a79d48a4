"""The pages of a browser that has signed in with a read-only token: nothing on them would be refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from access.file import TokensFile
from settings import Settings
from tests.conftest import Server
from tests.played import add_job, add_loop, serve
from tests.sounds import wav_bytes
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
PATHS = ("/", "/?show=waiting", "/jobs/song", "/jobs/waits", "/tracks", "/tracks/song-1")
# The texts of what is seen and would change something.
CHANGES = """() => [
    ...document.querySelectorAll("form[method=post] :is(button, input), a:is([data-dialog], [data-rename])"),
    ...document.querySelectorAll("#select, .grip, [href^='#loop-of-'], [type=checkbox]"),
  ].filter((part) => part.checkVisibility({ visibilityProperty: true }) && !part.closest("#player, dialog"))
  .map((part) => part.textContent.trim() || part.outerHTML)"""


@pytest.fixture
def tokens(tmp_path: Path) -> dict[bool, str]:
    """A token for each kind: True for the one that may only read."""
    file = TokensFile(Settings(_env_file=None, api_tokens=tmp_path / "tokens.json"))
    with file.changing() as contents:
        return {read_only: contents.add_token(f"read-only-{read_only}", read_only) for read_only in (True, False)}


@pytest.fixture
def closed(tmp_path: Path, tokens: dict[bool, str]) -> Iterator[Server]:
    """A server with a track, a loop and a job that waits. It asks for one of the tokens."""
    service = serve(tmp_path)
    add_job(service, "song", [2, 2])
    add_loop(service, "song-1", "part", wav_bytes(2))
    service.call("POST", "/api/jobs", {"job_id": "waits", "prompt": "p", "job_type": "other"})
    service.stop()
    service.environment["API_TOKENS"] = str(tmp_path / "tokens.json")
    yield service.start()
    service.stop()


def sign_in(page: Page, service: Server, token: str) -> None:
    """Sign in on the page that asks for it."""
    page.goto(f"{service.url}/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(service.url + "/")


def test_a_browser_that_may_only_read_shows_nothing_that_it_may_not_use(
    closed: Server, tokens: dict[bool, str], window: Callable[..., Watched]
) -> None:
    seen, widths = {}, {}
    for read_only, token in tokens.items():
        page = window().page
        sign_in(page, closed, token)
        for path in PATHS:
            page.goto(closed.url + path)
            seen[read_only, path] = page.evaluate(CHANGES)
            if path == "/":
                widths[read_only] = page.locator("#job-song .row-main").evaluate("part => part.clientWidth")
            expect(page.get_by_text("Read only", exact=True)).to_be_visible(visible=read_only)
    assert all("Cancel" in seen[False, "/jobs/waits"] and len(seen[False, path]) > 2 for path in PATHS)
    assert widths[True] == widths[False] > 200  # pixels
    allowed = {"Sign out", "Tell me when all is done"}
    assert {path: set(seen[True, path]) - allowed for path in PATHS} == dict.fromkeys(PATHS, set())
