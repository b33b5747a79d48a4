"""Lyrics that follow the sound in a real Chromium: the line that is sung is marked and in view, and each line plays."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import add_job, play, serve, time_of
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
LYRICS = "\n".join(f"[00:{number:02}.00]line {number}" for number in range(1, 60))
SUNG = "[data-lyrics] [aria-current]"
IN_VIEW = """(sung) => {
  const place = (selector) => document.querySelector(selector).getBoundingClientRect();
  return place(sung).top >= place(".lyrics-box").top - 1 && place(sung).bottom <= place(".lyrics-box").bottom + 1;
}"""


@pytest.fixture(scope="module")
def singing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a job whose lyrics have times, and another job."""
    service = serve(tmp_path_factory.mktemp("singing"))
    add_job(service, "song", [70, 70], metadata={"lyrics": LYRICS})
    add_job(service, "other", [70])
    yield service
    service.stop()


@pytest.fixture
def page(window: Callable[..., Watched], singing: Server) -> Iterator[Page]:
    """The page of the song; it had no errors in the end."""
    seen = window(viewport={"width": 1440, "height": 700})
    seen.page.goto(f"{singing.url}/jobs/song")
    yield seen.page
    seen.check(singing)


def is_in_view(page: Page) -> bool:
    """True if the line that is sung is inside its box."""
    return bool(page.evaluate(f"({IN_VIEW})('{SUNG}')"))


def sing(page: Page, number: int) -> None:
    """Play from a line."""
    page.get_by_role("link", name=f"Play from 0:{number:02}", exact=True).click()
    expect(page.locator(SUNG)).to_contain_text(f"line {number}")


def test_the_line_that_is_sung_is_marked_and_in_view(page: Page) -> None:
    expect(page.locator(SUNG)).to_have_count(0)
    play(page, "Track song-1")
    expect(page.locator(SUNG)).to_contain_text("line 1")
    before = page.evaluate("scrollY")
    page.evaluate("import('/static/player.js').then(({ player }) => player.seek(40.2))")
    expect(page.locator(SUNG)).to_contain_text("line 40")
    wait_for(lambda: is_in_view(page), 30)
    expect(page.locator(SUNG)).to_contain_text("line 42")
    assert page.evaluate("scrollY") == before and page.locator(SUNG).count() == 1
    assert violations(page) == []


def test_a_line_plays_from_its_time(page: Page) -> None:
    sing(page, 30)
    assert 30 <= time_of(page) < 33
    page.get_by_role("button", name="Pause Track song-1", exact=True).first.click()
    page.get_by_role("link", name="Play from 0:50", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(SUNG)).to_contain_text("line 50")
    assert "/jobs/song" in page.url and "audio" not in page.url


def test_the_box_stays_where_the_reader_has_scrolled_it(page: Page) -> None:
    sing(page, 30)
    wait_for(lambda: is_in_view(page), 30)
    page.locator(".lyrics-box").hover()
    page.mouse.wheel(0, -2000)
    wait_for(lambda: page.evaluate("document.querySelector('.lyrics-box').scrollTop") == 0, 30)
    expect(page.locator(SUNG)).to_contain_text("line 33")
    assert page.evaluate("document.querySelector('.lyrics-box').scrollTop") == 0
    wait_for(lambda: is_in_view(page), 30)


def test_the_sound_of_another_job_marks_no_line(page: Page, singing: Server) -> None:
    page.goto(f"{singing.url}/jobs/other")
    play(page, "Track other-1", 1.2)
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    page.get_by_role("link", name="song song").click()
    expect(page.locator("[data-lyrics]")).to_be_visible()
    before = time_of(page)
    wait_for(lambda: time_of(page) > before + 1, 30)
    assert page.locator(SUNG).count() == 0
    sing(page, 20)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (768, "dark"), (390, "light")])
def test_a_time_is_a_link_without_javascript(
    window: Callable[..., Watched], singing: Server, width: int, scheme: str
) -> None:
    seen = window(viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=False)
    seen.page.goto(f"{singing.url}/jobs/song")
    link = seen.page.get_by_role("link", name="Play from 0:09")
    assert link.get_attribute("href") == "/api/tracks/song-1/audio#t=9.00"
    assert seen.page.locator(".lyrics-lines li").count() == 59
    assert seen.page.locator(".lyrics-box").evaluate("box => box.scrollWidth <= box.clientWidth")
