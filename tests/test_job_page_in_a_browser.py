"""The page of a job in a real Chromium: takes that arrive, deletion with undo, keyboard, no JavaScript, layout."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import add_loop, serve, upload
from tests.sounds import wav_bytes
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
ROWS = "#takes > li"
MADE = {"generator": "opera", "seconds": 50.0, "peak_gpu_mb": 9000, "command": ["sing"], "parameters": {"steps": 32}}
SHIFTS = """() => {
  window.shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""
ANALYSIS = {
    "quality": "good", "start": 1.0, "end": 4.0, "source_sha256": "0" * 64, "loop_start": 1.0, "loop_end": 4.0,
    "candidates": [{"start": start, "end": 4.0, "crossfade": 0.1} for start in (1.0, 1.5)],
}  # fmt: skip


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """A server with a running job of five takes: three are made, the second one has a star."""
    service = serve(tmp_path)
    fields = {"job_id": "song", "prompt": "folk " * 20, "job_type": "other", "takes": 5, "metadata": {"mood": "calm"}}
    service.call("POST", "/api/jobs", fields)
    service.call("PATCH", "/api/jobs/song", {"status": "generating_audio", "progress": 60})
    for number in (1, 2, 3):
        add_take(service, number)
    service.call("PATCH", "/api/tracks/take-2", {"starred": True})
    yield service
    service.stop()


def add_take(service: Server, number: int) -> None:
    """Record a take with a sound of five seconds."""
    fields = {"track_id": f"take-{number}", "take": number, "seed": 40 + number, "provenance": MADE}
    assert service.call("POST", "/api/jobs/song/tracks", fields)[0] == 201
    upload(service, f"take-{number}", wav_bytes(5.0), "wav")


def opened(window: Callable[..., Watched], service: Server, **options: Any) -> Page:
    """The page of the job in a new browser, which follows the events."""
    page = window(**options).page
    page.goto(f"{service.url}/jobs/song", wait_until="domcontentloaded")  # waveforms are made meanwhile
    if options.get("java_script_enabled", True):
        expect(page.locator("#connection[data-state=live]")).to_be_visible()
    return page


def ids(page: Page) -> list[str]:
    """The ids of the rows of the takes."""
    return [str(row.get_attribute("id")) for row in page.locator(ROWS).all()]


def test_a_take_arrives_below_the_others_and_nothing_jumps(running: Server, window: Callable[..., Watched]) -> None:
    page = opened(window, running)
    page.evaluate(SHIFTS)
    assert ids(page) == ["track-take-1", "track-take-2", "track-take-3", "take-4", "take-5"]
    page.locator("#more-take-1 > summary").click()
    page.locator("#more-take-1").get_by_text("Make a loop").click()
    page.locator("#more-take-1").get_by_label("Bars").fill("8")
    before = page.locator("#play-take-3").bounding_box()
    running.call("PATCH", "/api/jobs/song", {"progress": 70, "message": "take 4 of 5: 16/32 [00:10"})
    expect(page.locator("#take-4")).to_have_text("4 Generating, step 16 of 32 50%", use_inner_text=False)
    add_take(running, 4)
    running.call("PATCH", "/api/tracks/take-1", {"starred": True})
    expect(page.locator("#track-take-4 .play")).to_be_visible()
    expect(page.locator("#star-take-1 .star")).to_have_attribute("aria-pressed", "true")
    assert ids(page) == ["track-take-1", "track-take-2", "track-take-3", "track-take-4", "take-5"]
    assert page.locator("#more-take-1").get_by_label("Bars").input_value() == "8"
    assert page.locator("#play-take-3").bounding_box() == before and page.evaluate("shift") < 0.05


def test_all_but_starred_go_and_come_back_in_two_browsers(running: Server, window: Callable[..., Watched]) -> None:
    one, other = opened(window, running), opened(window, running, viewport={"width": 390, "height": 844})
    one.get_by_role("button", name="Delete all but ★ (2 takes, 0.").click()
    for page in (one, other):
        expect(page.locator("#track-take-1, #track-take-3")).to_have_count(0)
        expect(page.locator(".toast")).to_contain_text("2 tracks deleted.")
        assert ids(page)[0] == "track-take-2"
    one.get_by_role("link", name="Jobs").first.click()
    expect(one.locator("main")).to_have_attribute("data-page", "jobs")
    one.get_by_role("button", name="Undo").click()
    expect(other.locator("#track-take-1, #track-take-3")).to_have_count(2)
    for page in (one, other):
        expect(page.locator(".toast")).to_have_count(0)
    assert ids(other)[:3] == ["track-take-1", "track-take-2", "track-take-3"]


def test_the_offer_to_undo_ends_after_ten_seconds(running: Server, window: Callable[..., Watched]) -> None:
    page = opened(window, running)
    page.get_by_role("button", name="Delete all but ★").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.locator(".toast-left")).to_have_text("5 s", timeout=20_000)
    expect(page.locator(".toast")).to_have_count(0, timeout=20_000)
    expect(page.locator("#job > h1")).to_be_focused()
    page.reload()
    expect(page.locator(".toast")).to_have_count(0)


def test_takes_are_undone_and_compared_by_keyboard(running: Server, window: Callable[..., Watched]) -> None:
    page = opened(window, running)
    page.get_by_role("button", name="Delete all but ★").press("Enter")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.locator("#announcer")).to_have_text("2 tracks are back.")
    number = page.get_by_role("button", name="Compare Take 1")
    number.focus()
    page.keyboard.press(" ")
    page.get_by_role("button", name="Play Take 3").press("Enter")
    wait_for(lambda: page.locator("#line-take-3").get_attribute("data-state") == "playing", 30)
    page.keyboard.press("c")
    expect(page.locator("#player-choices > button")).to_have_text(["A", "B"])
    assert [page.locator(f"#number-take-{n}").get_attribute("data-letter") for n in (1, 2, 3)] == ["A", None, "B"]


def test_a_take_is_renamed_and_its_menu_has_all_that_can_be_done(
    running: Server, window: Callable[..., Watched]
) -> None:
    page = opened(window, running)
    menu = page.locator("#more-take-3")
    menu.locator("summary").first.press("Enter")
    for name in ("Download Take 3 as WAV", "Delete Take 3…", "Open"):
        expect(menu.get_by_role("link", name=name)).to_be_visible()
    expect(menu.get_by_text("How Take 3 was made")).to_be_visible()
    menu.get_by_role("link", name="Rename").press("Enter")
    page.get_by_role("textbox", name="Title").fill("The slow one")
    running.call("PATCH", "/api/jobs/song", {"progress": 61})
    page.get_by_role("textbox", name="Title").press("Enter")
    expect(page.locator("#name-take-3")).to_have_text("The slow one")
    expect(page.get_by_role("button", name="Play The slow one")).to_be_visible()
    assert running.call("GET", "/api/tracks/take-3")[1]["title"] == "The slow one"
    menu.get_by_role("button", name="Make again").click()
    expect(page.locator("main")).to_have_attribute("data-page", "job")
    expect(page.locator("#job:not([data-job=song])")).to_be_visible()


def test_a_title_that_one_types_survives_changes_from_elsewhere(
    running: Server, window: Callable[..., Watched]
) -> None:
    page = opened(window, running)
    page.locator("#more-take-3 > summary").press("Enter")
    page.locator("#more-take-3").get_by_role("link", name="Rename").press("Enter")
    field = page.get_by_role("textbox", name="Title")
    field.fill("The slow one")
    for number, title in ((3, "Meanwhile"), (1, "Another")):
        running.call("PATCH", f"/api/tracks/take-{number}", {"title": title})
    expect(page.locator("#name-take-1")).to_have_text("Another")
    expect(field).to_be_focused()
    expect(field).to_have_value("The slow one")
    field.press("Escape")
    expect(page.locator("#name-take-3")).to_have_text("Meanwhile")


def test_a_loop_that_cannot_be_says_so_at_its_field(running: Server, window: Callable[..., Watched]) -> None:
    page = opened(window, running)
    menu = page.locator("#more-take-2")
    menu.locator("summary").first.click()
    menu.get_by_text("Make a loop").click()
    make, error = menu.get_by_role("button", name="Make the loop"), menu.locator(".field-error:visible")
    make.click()
    expect(error).to_have_text("expected a number of seconds or of bars")
    menu.get_by_label("Bars").fill("8")
    menu.get_by_label("Seconds", exact=True).fill("20")
    make.click()
    expect(error).to_have_text("expected seconds or bars, not both")
    menu.get_by_label("Seconds", exact=True).fill("")
    for name in ("Fade in and out", "Skip the intro"):
        menu.get_by_label(name).check()
    make.click()
    expect(error).to_have_text("a file that fades in and out does not repeat as a whole: choose one of the two")
    expect(menu.get_by_label("Skip the intro")).to_have_attribute("aria-invalid", "true")
    assert running.call("GET", "/api/loops")[1]["items"] == []


def test_without_javascript_takes_go_and_come_back(running: Server, window: Callable[..., Watched]) -> None:
    page = opened(window, running, java_script_enabled=False)
    page.locator("#more-take-2 > summary").click()
    page.locator("#more-take-2").get_by_text("Make a loop").click()
    page.locator("#more-take-2").get_by_label("Bars").fill("4")
    page.locator("#more-take-2").get_by_label("Skip the intro").check()
    page.locator("#more-take-2").get_by_role("button", name="Make the loop").click()
    expect(page.locator(".loop h4")).to_have_text("Loop of 4 bars")
    [loop] = running.call("GET", "/api/loops")[1]["items"]
    assert (loop["bars"], loop["intro"]) == (4, False)
    page.get_by_role("button", name="Delete all but ★").click()
    assert ids(page) == ["track-take-2", "take-4", "take-5"]
    page.get_by_role("button", name="Undo").click()
    assert len(ids(page)) == 5 and page.get_by_role("button", name="Undo").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_nothing_is_cut_off_and_axe_finds_nothing(
    running: Server, window: Callable[..., Watched], width: int, scheme: Any
) -> None:
    add_loop(running, "take-2", "cut", wav_bytes(6.0), **ANALYSIS)
    page = window(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce").page
    page.goto(f"{running.url}/jobs/song")
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    page.locator("#more-take-1 > summary").click()
    page.locator("#more-take-1").get_by_text("Make a loop").click()
    page.locator(".candidates > summary").click()
    for take in (1, 3):
        page.get_by_role("button", name=f"Compare Take {take}").click()
    page.get_by_role("button", name="Delete all but ★").click()
    expect(page.locator(".toast")).to_be_visible()
    assert violations(page) == []
    for other in (width, 768, 390):
        page.set_viewport_size({"width": other, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), other
