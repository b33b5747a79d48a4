"""The player in a real Chromium: what becomes of it when tracks are deleted, starred, or played from long lists."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import add_job, expect_sound, page, play, played, state_of, time_of
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "page", "played", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")


def test_a_track_that_is_deleted_is_skipped_on_pages_without_its_events(
    window: Callable[..., Watched], played: Server
) -> None:
    add_job(played, "away", [60, 60, 60])
    page = window().page
    page.goto(f"{played.url}/jobs/away")
    play(page, "Track away-1")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    page.get_by_role("link", name="song takes", exact=True).first.click()
    expect(page.locator("main[data-page=job]")).to_be_visible()
    played.call("DELETE", "/api/tracks/away-1")  # the page of another job does not hear of it
    expect(page.locator("#player-title")).to_have_text("Track away-2", timeout=30_000)
    expect(page.locator("#player-trouble")).to_have_text("Track away-1 has been deleted.")
    page.goto(f"{played.url}/jobs/away")
    expect_sound(page, "Track away-2")
    page.evaluate("import('/static/player.js').then(({player}) => player.paused || player.toggle())")
    wait_for(lambda: state_of(page) == "paused", 30)
    page.goto(f"{played.url}/jobs/takes")
    played.call("DELETE", "/api/tracks/away-2")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.locator("#player-trouble")).to_have_text("Track away-2 has been deleted.")


def test_the_sentence_about_a_deleted_track_goes_when_it_is_back(page: Page, played: Server) -> None:
    add_job(played, "back", [60])
    page.goto(f"{played.url}/jobs/back")
    play(page, "Track back-1")
    _, discard = played.call("POST", "/api/tracks/actions", {"action": "delete", "ids": ["back-1"]})
    expect(page.locator("#player-trouble")).to_have_text("Track back-1 has been deleted.")
    wait_for(lambda: state_of(page) == "paused", 30)
    played.call("POST", f"/api/discards/{discard['discard']['discard_id']}/undo")
    expect(page.locator("#player-trouble")).to_be_hidden()
    page.locator("#player-play").click()
    wait_for(lambda: state_of(page) == "playing" and time_of(page) > 0.1, 20)


def test_the_bar_follows_a_star_that_another_window_sets(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/takes")
    play(page, "Track takes-1")
    star = page.locator("#player-star .star")
    for starred in ("true", "false"):
        played.call("PATCH", "/api/tracks/takes-1", {"starred": starred == "true"})
        expect(star).to_have_attribute("aria-pressed", starred)


def test_the_row_of_a_job_becomes_the_take_that_plays(page: Page, played: Server) -> None:
    add_job(played, "row", [20, 40], takes=2)
    page.goto(f"{played.url}/tracks")
    row = page.locator("#job-row")
    row.locator('.take[data-sound="track:row-2"]').click()
    expect(row).to_have_attribute("data-sound", "track:row-2")
    expect(row.locator(".lib-length")).to_have_text("0:40")
    expect(row.locator("[data-rename]")).to_have_attribute("data-rename", "row-2")
    assert "row-2/waveform" in row.locator(".wave").evaluate("wave => wave.style.getPropertyValue('--drawn')")


def test_a_long_list_joins_the_queue_only_when_the_queue_ends(page: Page, played: Server) -> None:
    page.goto(f"{played.url}/jobs/takes")
    joined = page.evaluate("""async () => {
      const { Queue } = await import("/static/queue.js");
      const list = document.getElementById("takes");
      const [first, second, third] = [...list.querySelectorAll(".take-line")].map(({ dataset }) => dataset.sound);
      const sounds = [{ key: second }];
      const state = { sounds, name: list.dataset.queue, page: location.href };
      const [whole, part] = [new Queue(state), new Queue({ ...state, next: "/tracks?cursor=x" })];
      for (const queue of [whole, part]) queue.update();
      const places = (queue) => queue.sounds.map(({ key }) => [first, second, third].indexOf(key));
      return [places(whole), places(part)];
    }""")
    assert joined == [[0, 1, 2], [0, 1]]
