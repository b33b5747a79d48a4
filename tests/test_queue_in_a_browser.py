"""The queue in a real Chromium: what it shows follows the queue, the buttons work with and without JavaScript."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.conftest import Server, wait_for
from tests.service import accepted
from tests.test_browser import CHROMIUM, Watched, violations
from tests.test_browser import chromium as chromium
from tests.test_browser import window as window

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
NOTED = """window.notes = [];
  window.Notification = class { constructor(text) { window.notes.push(text); } };
  Object.assign(Notification, { permission: "granted", requestPermission: async () => window.notes.push("asked") });"""


@pytest.fixture
def running(server: Callable[..., Server]) -> Server:
    """A service without workers, with three jobs."""
    made = server().start()
    for job_id in ("one", "two", "three"):
        accepted(made.call("POST", "/api/jobs", {"job_id": job_id, "prompt": f"song {job_id}", "job_type": "synth"}))
    return made


def places(page: Page) -> list[str]:
    """The places of the rows of the list."""
    return [text.strip() for text in page.locator("#jobs .row-sub > span:first-child").all_inner_texts()]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_buttons_work(window: Callable[..., Watched], running: Server, scripts: bool, width: int) -> None:
    opened = window(java_script_enabled=scripts, viewport={"width": width, "height": 844})
    page = opened.page
    page.goto(running.url)
    expect(page.locator("#queue p")).to_have_text("3 waiting")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.locator("#queue p")).to_have_text("The queue is paused. 3 waiting")
    assert running.call("GET", "/api/queue")[1]["paused"] is True
    page.get_by_role("button", name="Go on").press("Enter")
    expect(page.get_by_role("button", name="Pause the queue")).to_be_visible()
    page.goto(f"{running.url}/jobs/three")
    expect(page.locator("#job-state")).to_contain_text("2 before it")
    page.get_by_role("button", name="Make next").click()
    expect(page.locator("#job-state")).to_contain_text("next")
    assert [job["job_id"] for job in running.call("GET", "/api/queue")[1]["items"]] == ["three", "one", "two"]
    opened.check(running)


def test_the_list_follows_the_queue(window: Callable[..., Watched], running: Server) -> None:
    opened = window(viewport={"width": 1440, "height": 900})
    page = opened.page
    page.goto(running.url)
    expect(page.locator("#connection")).to_contain_text("Live")
    assert places(page) == ["2 before it", "1 before it", "next"]
    accepted(running.call("POST", "/api/jobs/three/next"))
    expect(page.locator("#job-three")).to_contain_text("next")
    expect(page.locator("#job-two")).to_contain_text("2 before it")
    accepted(running.call("PUT", "/api/queue", {"paused": True}))
    expect(page.locator("#queue")).to_contain_text("The queue is paused")
    page.locator("#next-job-two").click()
    expect(page.locator("#job-two")).to_contain_text("next")
    opened.check(running)


def test_the_last_job_is_told_in_the_title_and_by_a_notification(
    window: Callable[..., Watched], running: Server
) -> None:
    opened = window()
    page: Any = opened.page
    page.add_init_script(NOTED)
    page.clock.install()
    page.goto(running.url)
    page.get_by_role("button", name="Tell me when all is done").click()
    expect(page.locator("#bell")).to_be_hidden()
    assert page.evaluate("window.notes") == ["asked"]
    page.reload()
    expect(page.locator("#bell")).to_be_hidden()
    for job_id in ("one", "two", "three"):
        page.clock.run_for(16_000)
        assert "All done" not in page.title()
        accepted(running.call("POST", f"/api/jobs/{job_id}/cancel"))
    page.clock.run_for(16_000)
    expect(page).to_have_title(re.compile("^✓ All done · Jobs"))
    assert page.evaluate("window.notes") == ["All jobs are done"]
    page.keyboard.press("Shift")
    assert page.title() == "Jobs · DiffRhythm Ledger"
    opened.check(running)


def test_the_button_for_it_is_shown_after_its_script_has_loaded(
    window: Callable[..., Watched], running: Server
) -> None:
    page, held = window().page, list[Route]()
    page.route(re.compile(r"/bell\.js"), lambda route: held.append(route))
    page.goto(running.url)
    expect(page.locator("#connection")).to_contain_text("Live")
    wait_for(lambda: held, 30)
    expect(page.locator("#bell")).to_be_hidden()
    held[0].continue_()
    expect(page.locator("#bell")).to_be_visible()


@pytest.fixture
def waiting(window: Callable[..., Watched], running: Server) -> Page:
    """The jobs that wait, in the order of the queue."""
    page = window(viewport={"width": 1440, "height": 900}).page
    page.goto(f"{running.url}/?show=waiting")
    expect(page.locator("#connection")).to_contain_text("Live")
    page.locator("#jobs").hover()
    wait_for(lambda: page.evaluate("performance.getEntriesByType('resource').some(({name}) => /order/.test(name))"), 20)
    return page


def shows(page: Page, running: Server, *names: str) -> None:
    """The list and the queue have this order."""
    expect(page.locator("#jobs .row-title")).to_have_text([f"song {name}" for name in names])
    assert [job["job_id"] for job in running.call("GET", "/api/queue")[1]["items"]] == list(names)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_order_is_changed_without_javascript(window: Callable[..., Watched], running: Server, width: int) -> None:
    opened = window(java_script_enabled=False, viewport={"width": width, "height": 844})
    page = opened.page
    page.goto(f"{running.url}/?show=waiting")
    shows(page, running, "one", "two", "three")
    page.get_by_role("button", name="Move song two down").click()
    shows(page, running, "one", "three", "two")
    page.get_by_role("button", name="Move song three up").click()
    shows(page, running, "three", "one", "two")
    expect(page.get_by_role("button", name=re.compile("^Move"))).to_have_count(4)
    assert page.url.endswith("/?show=waiting")
    opened.check(running)


def test_the_order_is_changed_by_keys(waiting: Page, running: Server) -> None:
    page = waiting
    assert violations(page) == []
    page.locator("#job-one .row-title").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#announcer")).to_have_text("1 before it")
    shows(page, running, "two", "one", "three")
    expect(page.locator("#job-one .row-title")).to_be_focused()
    page.get_by_role("button", name="Move song one down").press("Enter")
    shows(page, running, "two", "three", "one")
    expect(page.locator("#job-one .row-title")).to_be_focused()  # the last row has no such button
    page.keyboard.press("Alt+ArrowUp")
    shows(page, running, "two", "one", "three")
    page.locator("#next-job-three").press("Enter")
    shows(page, running, "three", "two", "one")


@pytest.mark.parametrize(
    ("goal", "share", "order"),
    [("one", 0.25, ("three", "one", "two")), ("two", 0.25, ("one", "three", "two")), ("three", 0.25, None)],
)
def test_a_row_is_dragged_before_another_one(
    waiting: Page, running: Server, goal: str, share: float, order: tuple[str, ...] | None
) -> None:
    drag(waiting, "three", goal, share)
    waiting.mouse.up()
    shows(waiting, running, *order or ("one", "two", "three"))
    expect(waiting.locator("[data-drop], [data-editing]")).to_have_count(0)


def test_a_row_is_dragged_to_the_end(waiting: Page, running: Server) -> None:
    drag(waiting, "one", "three", 0.75)
    expect(waiting.locator("#job-three")).to_have_attribute("data-drop", "below")
    waiting.mouse.up()
    shows(waiting, running, "two", "three", "one")


def test_dragging_ends_with_escape_and_outlasts_changes(waiting: Page, running: Server) -> None:
    drag(waiting, "three", "one", 0.25)
    waiting.keyboard.press("Escape")
    waiting.mouse.up()
    shows(waiting, running, "one", "two", "three")
    drag(waiting, "three", "two", 0.25)
    accepted(running.call("POST", "/api/jobs/one/cancel"))
    expect(waiting.locator("#job-one.gone")).to_be_visible()
    waiting.mouse.up()
    shows(waiting, running, "three", "two")


def test_a_job_that_does_not_wait_any_more_is_not_moved(waiting: Page, running: Server) -> None:
    waiting.route(
        "**/api/jobs/two/next", lambda route: running.call("POST", "/api/jobs/one/cancel") and route.continue_()
    )
    waiting.get_by_role("button", name="Move song two up").click()
    expect(waiting.locator("#announcer")).to_contain_text("one")
    expect(waiting.locator("#job-one:not(.gone)")).to_have_count(0)
    shows(waiting, running, "two", "three")


def drag(page: Page, job_id: str, goal: str, share: float) -> None:
    """Hold the row of a job by its grip at a height of another row, which is a share of its height."""
    page.locator(f"#job-{job_id} .grip").hover()
    page.mouse.down()
    box = page.locator(f"#job-{goal}").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * share, steps=5)
