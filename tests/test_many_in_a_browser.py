"""Queueing many jobs in a real Chromium: by dropping a file, by keyboard alone, on a phone, and without JavaScript."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import serve
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
Windows = Callable[..., Watched]
PHONE = {"viewport": {"width": 390, "height": 844}}
LOADED = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/drop.js'))"
# Drags files over an element, waits until the script for that has come, and drops them.
DROP = """async ([names, text]) => {
  const dataTransfer = new DataTransfer();
  for (const name of names) dataTransfer.items.add(new File([text], name));
  const event = (type) => new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
  const drag = (type) => document.querySelector("main").dispatchEvent(event(type));
  drag("dragenter");
  for (let tries = 0; tries < 300 && drag("dragover"); tries += 1) await new Promise((done) => setTimeout(done, 50));
  window.marked = document.documentElement.classList.contains("dropping");
  drag("drop");
}"""
CSV = "prompt,job_type,takes\n" + "".join(f"song {number},synth,2\n" for number in range(120))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without workers."""
    running = serve(tmp_path_factory.mktemp("many"))
    yield running
    running.stop()


@pytest.fixture
def running(service: Server) -> Server:
    """The server without jobs."""
    for job in jobs_of(service):
        service.call("DELETE", f"/api/jobs/{job['job_id']}")
    return service


def jobs_of(service: Server) -> list[dict[str, Any]]:
    """All jobs of a server, newest first."""
    items: list[dict[str, Any]] = service.call("GET", "/api/jobs?limit=200")[1]["items"]
    return items


def opened(page: Page, url: str) -> None:
    """Open a page, and wait until its scripts run."""
    page.goto(url)
    page.wait_for_function("document.documentElement.classList.contains('js')")


def test_a_file_that_is_dropped_on_the_list_is_shown_and_then_queued(running: Server, window: Windows) -> None:
    seen = window()
    page = seen.page
    opened(page, running.url)
    assert not page.evaluate(LOADED)
    page.evaluate(DROP, [["songs.csv"], CSV])
    assert page.evaluate(LOADED) and page.evaluate("window.marked")
    expect(page.get_by_role("heading", name="songs.csv")).to_be_focused()
    expect(page.get_by_role("row")).to_have_count(51)
    assert jobs_of(running) == []
    page.get_by_role("button", name="Queue 120 jobs").click()
    expect(page.get_by_role("link", name="song 0", exact=True)).to_be_visible()
    assert len(jobs_of(running)) == 120 and page.url.endswith("/?show=waiting")
    assert not page.evaluate("document.documentElement.classList.contains('dropping')")
    seen.check(running)


def test_a_file_with_wrong_lines_is_mended_and_dropped_again(running: Server, window: Windows) -> None:
    page = window().page
    opened(page, f"{running.url}/new/many")
    page.evaluate(DROP, [["songs.csv"], f"{CSV}rain,synth,many\n"])
    expect(page.get_by_role("alert")).to_contain_text("1 line is wrong")
    expect(page.get_by_role("row").nth(1)).to_have_text("122 Wrong: takes input should be a valid integer")
    expect(page.get_by_role("button", name="Queue")).to_have_count(0)
    page.get_by_label("Takes optional").fill("3")
    page.evaluate(DROP, [["more.txt"], "rain\n"])
    expect(page.get_by_role("row").nth(1)).to_contain_text("3 takes")
    page.get_by_role("button", name="Queue 1 job").click()
    wait_for(lambda: [job["takes"] for job in jobs_of(running)] == [3], 20)


def test_several_files_and_other_pages_are_left_alone(running: Server, window: Windows) -> None:
    page = window().page
    opened(page, running.url)
    page.evaluate(DROP, [["a.txt", "b.txt"], "rain\n"])
    expect(page.get_by_text("Drop one file at a time.").first).to_be_visible()
    opened(page, f"{running.url}/new")
    page.evaluate("document.dispatchEvent(new DragEvent('dragenter', { dataTransfer: new DataTransfer() }))")
    assert not page.evaluate(LOADED)


def test_a_file_that_is_dropped_while_the_dialog_is_open_closes_it(running: Server, window: Windows) -> None:
    page = window().page
    opened(page, running.url)
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate(DROP, [["a.txt"], "rain\n"])
    expect(page.get_by_role("button", name="Queue 1 job")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_link_in_the_dialog_leads_to_the_page(running: Server, window: Windows) -> None:
    page = window(**PHONE).page
    opened(page, running.url)
    page.get_by_role("link", name="New job").first.click()
    page.get_by_role("dialog").get_by_role("link", name="queue many", exact=True).click()
    expect(page.get_by_role("heading", name="Queue many")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url.endswith("/new/many")


@pytest.mark.parametrize("script", [True, False])
def test_many_are_queued_by_keyboard_alone(running: Server, window: Windows, tmp_path: Path, script: bool) -> None:
    (tmp_path / "rain.lrc").write_text("[00:01.00]The rain")
    page = window(java_script_enabled=script, **PHONE).page
    (opened if script else Page.goto)(page, running.url)
    page.get_by_role("link", name="New job").first.press("Enter")
    page.get_by_role("link", name="queue many", exact=True).press("Enter")
    form = page.get_by_role("main")
    form.get_by_label("File").set_input_files(tmp_path / "rain.lrc")
    form.get_by_role("button", name="Show the jobs").press("Enter")
    expect(form.get_by_text("prompt field required")).to_be_visible()
    form.get_by_label("Prompt").fill("slow folk")
    for _ in range(2):  # the Enter key in a field shows the jobs, and queues nothing
        form.get_by_label("Prompt").press("Enter")
        expect(form.get_by_role("cell", name="slow folk")).to_be_visible()
    assert jobs_of(running) == []
    form.get_by_role("button", name="Queue 1 job").press("Enter")
    expect(form.get_by_role("link", name="slow folk")).to_be_visible()
    assert jobs_of(running)[0]["metadata"] == {"lyrics": "[00:01.00]The rain"}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_and_nothing_is_cut_off(
    running: Server, window: Windows, tmp_path: Path, scheme: Any, width: int
) -> None:
    wrong = f"{'word ' * 60},synth,many\n{'x' * 300},synth,1\n"
    page = window(color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 844}).page
    opened(page, f"{running.url}/new/many")
    for text, words in ((CSV, "Queue 120 jobs"), (CSV + wrong, "1 line is wrong")):
        (tmp_path / "songs.csv").write_text(text)
        page.locator("input[type=file]").set_input_files(tmp_path / "songs.csv")
        page.get_by_role("button", name="Show the jobs").click()
        expect(page.get_by_text(words)).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
