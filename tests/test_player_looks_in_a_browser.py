"""How the player looks in a real Chromium: nothing is clipped, nothing jumps, and axe finds nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import Server
from tests.played import add_job, add_loop, play, serve
from tests.sounds import wav_bytes
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
SIZES = {"wide": (1440, 900), "middle": (768, 1024), "phone": (390, 844)}
# Adds up the layout shifts, also those within half a second after a click.
SHIFTS = """() => {
  window.shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value)))
    .observe({ type: "layout-shift", buffered: true });
}"""
# The buttons of the bar that are not wholly in the window, or that lie over one another.
CLIPPED = """() => {
  const boxes = [...document.querySelectorAll("#player :is(button, a, input)")].filter((part) => part.checkVisibility())
    .map((part) => [part.id, part.getBoundingClientRect()]);
  const outside = boxes.filter(([, box]) => box.left < 0 || box.right > innerWidth || box.bottom > innerHeight);
  const over = boxes.filter(([, a], place) => boxes.slice(place + 1).some(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1));
  return [...outside, ...over].map(([id]) => id);
}"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a job of two takes, and a loop."""
    service = serve(tmp_path_factory.mktemp("looks"))
    add_job(service, "song", [60, 60], prompt="Indie folk ballad with acoustic guitar, a night train leaving the coast")
    add_loop(service, "song-1", "loop", wav_bytes(6), loop_start=0, loop_end=6)
    yield service
    service.stop()


@pytest.fixture(params=list(SIZES))
def frame(request: pytest.FixtureRequest) -> dict[str, int]:
    """The size of a window."""
    width, height = SIZES[request.param]
    return {"width": width, "height": height}


@pytest.mark.parametrize(
    ("frame", "scheme"), [("wide", "light"), ("middle", "dark"), ("phone", "light")], indirect=["frame"]
)
def test_axe_finds_nothing_with_the_bar_open(
    played: Server, window: Callable[..., Watched], scheme: Any, frame: dict[str, int]
) -> None:
    page = window(viewport=frame, color_scheme=scheme, reduced_motion="reduce").page
    page.goto(f"{played.url}/jobs/song")
    play(page, "Track song-1")
    assert violations(page) == [] and page.evaluate(CLIPPED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Queue").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert violations(page) == []


def test_nothing_jumps_when_the_bar_appears(
    played: Server, window: Callable[..., Watched], frame: dict[str, int]
) -> None:
    page = window(viewport=frame).page
    page.goto(f"{played.url}/jobs/song")
    page.evaluate(SHIFTS)
    play(page, "Track song-1")
    page.locator('[data-sound="loop:loop"] [data-play]').click()
    expect(page.locator("#player-title")).to_contain_text("loop of")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.get_by_role("searchbox", name="Words of the prompt")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Indie folk")).to_be_visible()
    assert page.evaluate("window.shift") < 0.05


def test_the_end_of_a_page_is_not_under_the_bar(
    played: Server, window: Callable[..., Watched], frame: dict[str, int]
) -> None:
    page = window(viewport=frame).page
    page.goto(f"{played.url}/jobs/song")
    play(page, "Track song-1")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    bar, end = page.locator("#player").bounding_box(), page.locator("aside").bounding_box()
    assert bar is not None and end is not None and end["y"] + end["height"] <= bar["y"]
