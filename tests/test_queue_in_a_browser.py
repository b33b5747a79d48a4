"""The queue in a real Chromium: what it shows follows the queue, the buttons work with and without JavaScript."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server
from tests.service import accepted
from tests.test_browser import CHROMIUM, Watched
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
