"""The candidates of a loop in a real Chromium: their seams are heard, and one of them becomes a loop."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import Server, wait_for
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
SONG = {"job_id": "song", "prompt": "upbeat pop", "job_type": "synth", "metadata": {"duration": 48}}


@pytest.fixture
def looped(server: Callable[..., Server]) -> Iterator[Server]:
    """A server with a song of the synthesiser and a loop of it."""
    running = server(WORKERS="1").start()
    running.call("POST", "/api/jobs", SONG)
    wait_for(lambda: running.call("GET", "/api/jobs/song")[1]["status"] == "completed", 60)
    [track] = running.call("GET", "/api/jobs/song/tracks")[1]["items"]
    running.call("POST", track["urls"]["loops"], {"loop_id": "first", "duration": 20, "format": "WAV"})
    wait_for(lambda: running.call("GET", "/api/loops/first")[1]["status"] == "COMPLETED", 60)
    yield running


def listed(page: Page, service: Server) -> Locator:
    """The other candidates of the first loop, on the page of the job."""
    page.goto(f"{service.url}/jobs/song", wait_until="domcontentloaded")  # pictures of seams are made meanwhile
    page.locator("#loop-first .candidates > summary").click()
    return page.locator("#loop-first .candidate", has=page.get_by_role("button", name="Make this loop"))


def hear(page: Page, candidate: Locator) -> float:
    """Play the seam of a candidate for a moment; the seconds of its sound."""
    candidate.get_by_role("button", name="Play the seam").click()
    audio = page.locator("#player-audio")
    wait_for(lambda: audio.evaluate("audio => audio.currentTime") > 0.3, 30)
    return float(audio.evaluate("audio => audio.duration"))


def test_the_seam_of_a_candidate_is_heard_and_becomes_a_loop(looped: Server, window: Callable[..., Watched]) -> None:
    seen = window()
    others = listed(seen.page, looped)
    assert others.count() >= 1 and violations(seen.page) == []
    expected: Any = looped.call("GET", "/api/loops/first")[1]["analysis"]["candidates"][1]
    before, after = min(3, expected["end"]), min(3, expected["end"] - expected["start"] - expected["crossfade"])
    assert hear(seen.page, others.first) == pytest.approx(before + after, abs=0.01)
    button = others.first.get_by_role("button", name="Make this loop")
    button.click()
    expect(seen.page.locator("#announcer")).to_have_text("The loop is in the queue")
    made = seen.page.locator(".loop:not(#loop-first)")
    expect(made).to_have_count(1)
    expect(button).to_be_focused()
    expect(made).to_have_attribute("data-status", "COMPLETED", timeout=60_000)
    [loop] = [item for item in looped.call("GET", "/api/loops")[1]["items"] if item["loop_id"] != "first"]
    assert (loop["candidate"], loop["duration"], loop["format"], loop["fade_in_out"]) == (2, 20, "WAV", False)
    assert (loop["analysis"]["start"], loop["analysis"]["end"]) == (expected["start"], expected["end"])
    seen.check(looped)


def test_a_candidate_becomes_a_loop_on_a_phone_without_javascript(
    looped: Server, window: Callable[..., Watched]
) -> None:
    page = window(viewport={"width": 390, "height": 844}, java_script_enabled=False).page
    others = listed(page, looped)
    expect(others.first.locator("audio")).to_be_visible()
    others.first.get_by_role("button", name="Make this loop").click()
    expect(page.locator(".loop")).to_have_count(2)
    [loop] = [item for item in looped.call("GET", "/api/loops")[1]["items"] if item["loop_id"] != "first"]
    assert (loop["candidate"], loop["duration"], loop["format"]) == (2, 20, "WAV")
