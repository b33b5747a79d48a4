"""The keys of the player and the Media Session, in a real Chromium."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import AUDIO, expect_sound, play, played, state_of, time_of
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "played", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
# Keeps what the page hands to the Media Session; a browser without a screen shows it nowhere.
RECORD = """() => {
  window.handlers = {};
  const set = MediaSession.prototype.setActionHandler;
  MediaSession.prototype.setActionHandler = function (name, act) {
    window.handlers[name] = act;
    set.call(this, name, act);
  };
}"""


@pytest.fixture
def page(window: Callable[..., Watched], played: Server) -> Iterator[Page]:
    """The page of the job, with its first take playing."""
    seen = window()
    seen.page.add_init_script(f"({RECORD})()")
    seen.page.goto(f"{played.url}/jobs/takes")
    play(seen.page, "Track takes-1")
    yield seen.page
    seen.check(played)


def test_every_key_does_what_the_help_says(page: Page) -> None:
    page.locator("h1").click()
    page.keyboard.press("Space")
    wait_for(lambda: state_of(page) == "paused", 30)
    page.keyboard.press("Space")
    wait_for(lambda: state_of(page) == "playing", 30)
    page.keyboard.press("j")
    expect_sound(page, "Track takes-2")
    page.keyboard.press("K")  # with the shift lock
    expect_sound(page, "Track takes-1")
    page.keyboard.press("ArrowRight")
    wait_for(lambda: 5 <= time_of(page) < 8, 30)
    page.keyboard.press("ArrowLeft")
    wait_for(lambda: time_of(page) < 4, 30)
    page.keyboard.press("l")
    wait_for(lambda: page.evaluate(f"{AUDIO}.loop"), 30)
    expect(page.locator("#player-repeat")).to_have_attribute("aria-pressed", "true")
    page.evaluate(
        "document.addEventListener('submit', (event) => (event.preventDefault(), window.sent = event.target))"
    )
    page.keyboard.press("s")
    assert page.evaluate("window.sent.id") == "player-star"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert page.get_by_role("dialog", name="Keys").locator("dt").all_inner_texts() == [
        "Space", "J", "K", "← →", "L", "S", "C", "1 … 9", "?",
    ]  # fmt: skip


def test_keys_are_left_to_fields_dialogs_and_modifiers(page: Page) -> None:
    page.keyboard.press("Control+j")
    page.keyboard.press("Alt+k")
    form = page.locator(".make-loop > summary").first
    page.locator(".take-more > summary").first.click()
    form.click()
    page.get_by_label("Seconds").first.press("1")
    page.get_by_label("Format").first.press("j")
    page.get_by_role("link", name="New job").first.click()
    page.get_by_role("dialog").get_by_label("Prompt").press_sequentially("jkl s?")
    page.get_by_role("dialog").get_by_role("heading").first.click()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    form.press("Space")  # closes the form
    expect(page.get_by_label("Seconds").first).to_be_hidden()
    assert state_of(page) == "playing" and page.evaluate(f"{AUDIO}.loop") is False
    expect_sound(page, "Track takes-1")


def test_the_keys_can_be_turned_off_for_good(page: Page) -> None:
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys").uncheck()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    page.reload()
    expect_sound(page, "Track takes-1")
    for key in ("j", "?", "l"):
        page.keyboard.press(key)
    expect_sound(page, "Track takes-1")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect_sound(page, "Track takes-2")


def test_a_play_button_is_a_button_for_the_keyboard(page: Page) -> None:
    button = page.get_by_role("button", name="Play Track takes-3")
    button.press("Space")
    expect_sound(page, "Track takes-3")
    again = page.get_by_role("button", name="Pause Track takes-3")
    expect(again).to_be_focused()
    wait_for(lambda: state_of(page) == "playing", 30)
    again.press("Enter")
    wait_for(lambda: state_of(page) == "paused", 30)
    assert violations(page) == []


def test_the_media_session_has_the_sound_and_its_handlers_move_it(page: Page) -> None:
    session = "navigator.mediaSession"
    assert page.evaluate(f"[{session}.metadata.title, {session}.playbackState]") == ["Track takes-1", "playing"]
    assert page.evaluate(f"{session}.metadata.artwork[0].src").endswith("/static/mark.svg")
    page.evaluate("window.handlers.pause()")
    wait_for(lambda: page.evaluate(f"{session}.playbackState") == "paused", 30)
    page.evaluate("window.handlers.play()")
    wait_for(lambda: page.evaluate(f"{session}.playbackState") == "playing", 30)
    page.evaluate("window.handlers.seekto({ seekTime: 20 })")
    page.evaluate("window.handlers.seekforward({ seekOffset: 4 })")
    page.evaluate("window.handlers.seekbackward({})")
    wait_for(lambda: 14 <= time_of(page) < 18, 30)
    page.evaluate("window.handlers.nexttrack()")
    wait_for(lambda: page.evaluate(f"{session}.metadata.title") == "Track takes-2", 30)
    page.evaluate("window.handlers.previoustrack()")
    wait_for(lambda: page.evaluate(f"{session}.metadata.title") == "Track takes-1", 30)
    page.evaluate("window.handlers.stop()")
    wait_for(lambda: page.evaluate(f"{session}.metadata") is None, 30)
