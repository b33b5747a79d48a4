"""The player in a real Chromium: a sound goes on while pages change, and the queue and waveforms move it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import (
    AUDIO,
    IS_READ,
    WATCH,
    add_job,
    add_track,
    expect_sound,
    page,
    play,
    serving_takes,
    state_of,
    time_of,
)
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "page", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a long track, a job with three takes, and a job whose tracks are short."""
    with serving_takes(tmp_path_factory.mktemp("played")) as service:
        add_job(service, "long", [300])
        add_job(service, "short", [1, 1.5])
        yield service


def is_same_audio(page: Page) -> bool:
    """True if the audio element is the one that WATCH saw."""
    return bool(page.evaluate(f"window.audio === {AUDIO}"))


def finish_jobs(played: Server, page: Page, name: str) -> None:
    """Three jobs finish, and the list shows it."""
    for job in range(3):
        add_job(played, f"{name}-{job}", [], prompt=f"{name} {job}")
    expect(page.locator(f"#job-{name}-2")).to_have_attribute("data-status", "completed")


def waits(page: Page, act: Callable[[int], None]) -> int:
    """Do something ten times. How often the sound has waited meanwhile; nothing else happened to it."""
    page.evaluate("window.happened.length = 0")
    times = [time_of(page)]
    for number in range(10):
        act(number)
        times.append(time_of(page))
    happened = page.evaluate("window.happened")
    assert set(happened) <= {"waiting", "playing"} and is_same_audio(page)
    assert times == sorted(set(times))
    return int(happened.count("waiting"))


def test_a_sound_goes_on_over_20_navigations_while_30_jobs_finish(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/long")
    page.evaluate(WATCH)
    play(page, "Track long-1")
    wait_for(lambda: page.evaluate(IS_READ), 60)
    jobs = page.get_by_role("link", name="Jobs", exact=True).first

    def visit_a_job(number: int) -> None:
        jobs.click()
        finish_jobs(played, page, f"extra-{number}")
        page.get_by_role("link", name=f"extra-{number} 2", exact=True).click()
        expect(page.get_by_role("heading", name=f"extra-{number} 2")).to_be_focused()

    moving = waits(page, visit_a_job)
    jobs.click()
    staying = waits(page, lambda number: finish_jobs(played, page, f"quiet-{number}"))
    assert moving <= staying  # a busy machine runs out of sound at times, on whatever page
    expect_sound(page, "Track long-1")


def test_the_queue_is_in_the_order_of_the_list_and_goes_on_by_itself(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/short")
    play(page, "Track short-1", 0)
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect_sound(page, "Track short-2")
    wait_for(lambda: state_of(page) == "paused", 30)
    expect_sound(page, "Track short-2")
    page.get_by_role("button", name="Queue").click()
    listed = page.locator("#player-sounds button")
    expect(listed).to_have_text(["Track short-1", "Track short-2"])
    listed.first.click()
    expect_sound(page, "Track short-1")


def test_a_take_that_is_made_while_one_listens_joins_the_queue(page: Page, played: Server) -> None:
    add_job(played, "growing", [30], takes=3)
    page.goto(f"{played.url}/jobs/growing")
    play(page, "Track growing-1")
    add_track(played, "growing", "growing-2", 30)
    expect(page.get_by_role("button", name="Play Track growing-2")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect_sound(page, "Track growing-2")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.get_by_role("searchbox", name="Words of the prompt")).to_be_visible()
    add_track(played, "growing", "growing-3", 30)  # on a page that is not shown
    page.keyboard.press("j")
    expect_sound(page, "Track growing-3")


def test_a_track_that_is_deleted_while_it_plays_says_so_and_the_next_one_plays(page: Page, played: Server) -> None:
    add_job(played, "doomed", [60, 60])
    page.goto(f"{played.url}/jobs/doomed")
    play(page, "Track doomed-1")
    played.call("DELETE", "/api/tracks/doomed-1")
    expect(page.locator("#player-trouble")).to_have_text("Track doomed-1 has been deleted.")
    expect_sound(page, "Track doomed-2")
    wait_for(lambda: state_of(page) == "playing" and time_of(page) > 0.1, 20)


def test_a_sound_that_cannot_be_played_says_why(window: Callable[..., Watched], played: Server) -> None:
    add_job(played, "broken", [5, 5])
    [file] = (played.storage / "tracks" / "broken-1").rglob("*.wav")
    file.write_bytes(b"no sound at all")
    page = window().page
    page.goto(f"{played.url}/jobs/broken")
    page.get_by_role("button", name="Play Track broken-1").click()
    expect(page.locator("#player-trouble")).to_contain_text("This sound cannot be played.")
    assert state_of(page) == "paused"
    file.unlink()
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#player-trouble")).to_contain_text("Track broken-1 cannot be played.")
    expect_sound(page, "Track broken-2")


def test_one_seeks_by_pointer_and_by_keyboard_and_the_page_shows_the_place(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/takes")
    slider = page.get_by_role("slider", name="Position in Track takes-2")
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] / 2, "y": 10})
    expect_sound(page, "Track takes-2")
    wait_for(lambda: abs(time_of(page) - 30) < 3 and state_of(page) == "playing", 20)
    slider.press("ArrowRight")
    wait_for(lambda: 32 < time_of(page) < 40, 20)
    bar = page.get_by_role("slider", name="Position", exact=True)
    bar.press("PageDown")
    wait_for(lambda: 20 < time_of(page) < 30, 20)
    wave = page.locator('[data-sound="track:takes-2"] .wave')
    played_part = float(wave.evaluate("wave => parseFloat(wave.style.getPropertyValue('--played'))"))
    assert 30 < played_part < 55 and bar.get_attribute("aria-valuetext", timeout=1000).endswith(" of 1:00")  # type: ignore[union-attr]
    assert page.locator('[data-sound="track:takes-1"] .wave').evaluate("wave => wave.style.length") <= 1


def test_the_sound_goes_on_where_it_was_after_a_reload(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/takes")
    play(page, "Track takes-1")
    page.locator("#player-volume").fill("0.4")
    page.locator("#player-repeat").click()
    page.get_by_role("slider", name="Position", exact=True).press("PageUp")
    wait_for(lambda: time_of(page) > 9, 20)
    before = time_of(page)
    page.goto(f"{played.url}/new")
    expect_sound(page, "Track takes-1")
    wait_for(lambda: page.evaluate(f"{AUDIO}.readyState") > 0 and time_of(page) > before - 1.5, 20)
    assert page.evaluate(f"[{AUDIO}.volume, {AUDIO}.loop]") == [0.4, True]
    page.locator("#player-next").click()
    expect_sound(page, "Track takes-2")
    page.get_by_role("button", name="Close the player").click()
    expect(page.locator("#player")).to_be_hidden()
    page.reload()
    expect(page.locator("html.js")).to_have_count(1)
    expect(page.locator("#player")).to_be_hidden()


def test_only_one_window_plays(page: Page, played: Server) -> None:
    other = page.context.new_page()
    for each in (page, other):
        each.goto(f"{played.url}/jobs/long")
        play(each, "Track long-1")
    wait_for(lambda: state_of(page) == "paused", 30)
    assert state_of(other) == "playing"
