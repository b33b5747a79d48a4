"""The lists of jobs and of tracks in a real Chromium: they follow the service, and nothing moves under the pointer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import Server, wait_for
from tests.played import serve, upload
from tests.sounds import wav_bytes
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
SHIFTS = """() => {
  window.shift = 0;
  const add = (entry) => (window.shift += entry.hadRecentInput ? 0 : entry.value);
  new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({type: "layout-shift", buffered: true});
}"""
Windows = Callable[..., Watched]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a running job that has two of four takes, and 70 jobs with a track."""
    service = serve(tmp_path_factory.mktemp("library"))
    for number in range(70):
        add(service, f"old-{number:02}", genre="Folk" if number % 2 else "Ambient")
    for take in (1, 2):
        add(service, "takes", take, takes=4)
    service.call("PATCH", "/api/jobs/takes", {"status": "generating_audio"})
    yield service
    service.stop()


def add(service: Server, job_id: str, take: int = 1, genre: str = "Folk", **job: Any) -> None:
    """Record a job with one track that has no file on disk; only the track if the job exists."""
    if service.call("GET", f"/api/jobs/{job_id}")[0] == 404:
        body = {"job_id": job_id, "prompt": f"song {job_id}", "job_type": "other", "metadata": {"genre": genre}, **job}
        assert service.call("POST", "/api/jobs", body)[0] == 201
    track = {"track_id": f"{job_id}-{take}", "take": take, "duration": 60, "title": f"Name {job_id}"}
    assert service.call("POST", f"/api/jobs/{job_id}/tracks", track)[0] == 201


def open_list(window: Windows, service: Server, path: str = "/tracks", **options: Any) -> Page:
    """A page with a list that is live."""
    page = window(viewport={"width": 1440, "height": 900}, **options).page
    page.goto(service.url + path, wait_until="domcontentloaded")
    expect(page.locator("#connection[data-state=live]")).to_be_visible(timeout=20_000)
    return page


def top_of(row: Locator) -> float:
    box = row.bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("path", ["/tracks", "/"])
def test_no_row_under_the_pointer_moves_when_new_ones_arrive(library: Server, window: Windows, path: str) -> None:
    page = open_list(window, library, path)
    row = page.locator(".row").nth(4)
    row.hover()
    name, before = row.get_attribute("id"), top_of(row)
    new = [f"new{path.strip('/')}-{number}" for number in range(3)]
    for job_id in new:
        add(library, job_id)
    expect(page.get_by_role("button", name="3 new")).to_be_visible()
    assert page.locator(".row").nth(4).get_attribute("id") == name and top_of(row) == before
    page.mouse.move(5, 5)
    expect(page.locator(f"#job-{new[2]}")).to_be_visible()
    expect(page.locator("#fresh")).to_be_hidden()


def test_new_rows_wait_while_the_focus_is_in_the_list_until_the_button_is_pressed(
    library: Server, window: Windows
) -> None:
    page = open_list(window, library)
    title = page.locator(".row .row-title").nth(3)
    title.focus()
    before = top_of(title)
    add(library, "focus-1")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    assert top_of(title) == before
    page.get_by_role("button", name="1 new").focus()
    add(library, "focus-2")  # the list reads its rows again, and the button keeps the focus
    expect(page.get_by_role("button", name="2 new")).to_be_focused()
    page.get_by_role("button", name="2 new").press("Enter")
    expect(page.locator("#job-focus-2 .row-title")).to_be_focused()


def test_a_take_made_elsewhere_appears_in_its_row(library: Server, window: Windows) -> None:
    page = open_list(window, library)
    row = page.locator("#job-takes")
    page.evaluate("window.stayed = true")
    row.hover()
    expect(row.locator(".coming")).to_have_text(["3", "4"])
    before = top_of(row)
    add(library, "takes", take=3)
    expect(row.locator(".coming")).to_have_text(["4"])
    expect(row.locator("a.take, .take")).to_have_count(4)
    assert top_of(row) == before and page.evaluate("window.stayed")


def test_a_deleted_row_stays_pale_until_the_pointer_leaves(library: Server, window: Windows) -> None:
    add(library, "gone")
    page = open_list(window, library)
    below = page.locator("#job-gone + .row")
    below.hover()
    before = top_of(below)
    library.call("DELETE", "/api/tracks/gone-1")
    expect(page.locator("#job-gone.gone")).to_be_visible()
    assert top_of(below) == before
    page.mouse.move(5, 5)
    expect(page.locator("#job-gone")).to_have_count(0)


def test_the_list_is_narrowed_as_one_types_and_by_chips(library: Server, window: Windows) -> None:
    page = open_list(window, library)
    page.evaluate("window.stayed = true")
    page.get_by_role("searchbox").press_sequentially("old 1")
    expect(page.locator(".row")).to_have_count(10)
    page.locator("#chips").get_by_role("link", name="Ambient").click()
    expect(page.locator(".row")).to_have_count(5)
    assert "q=old+1" in page.url and "genre=Ambient" in page.url
    page.get_by_label("Order").select_option("title")
    expect(page.locator(".row-title").first).to_have_text("Name old-10")
    page.go_back()
    expect(page.locator(".row")).to_have_count(10)
    assert page.evaluate("window.stayed")


def test_words_typed_while_the_script_of_the_list_loads_are_searched(library: Server, window: Windows) -> None:
    held = list[Route]()
    page = window(viewport={"width": 1440, "height": 900}).page
    page.route("**/list.js*", lambda route: held.append(route))
    page.goto(library.url + "/tracks")
    wait_for(lambda: page.evaluate("0") or held, 20)
    page.get_by_role("searchbox").fill("old-07")
    held.pop().continue_()
    expect(page.locator(".row")).to_have_count(1)
    assert page.url.endswith("?q=old-07")


def test_a_list_reads_on_when_requests_have_failed(library: Server, window: Windows) -> None:
    page = window(viewport={"width": 1440, "height": 900}).page
    page.route("**/tracks?*cursor=*", lambda route: route.abort(), times=4)
    page.goto(library.url + "/tracks?q=old")
    expect(page.locator(".row")).to_have_count(70)
    assert page.locator("#more a").count() == 0


def test_a_star_is_seen_in_another_browser(library: Server, window: Windows) -> None:
    add(library, "star")
    here, there = (open_list(window, library, "/tracks?q=star") for _ in range(2))
    here.get_by_role("button", name="Star Name star").click()
    for page in (here, there):
        expect(page.get_by_role("button", name="Star Name star")).to_have_attribute("aria-pressed", "true")
    assert library.call("GET", "/api/tracks/star-1")[1]["starred"] is True
    there.goto(f"{library.url}/tracks/star-1")
    there.get_by_role("button", name="Star Name star").press("Enter")
    expect(here.get_by_role("button", name="Star Name star")).to_have_attribute("aria-pressed", "false")


def test_a_name_is_changed_in_its_place(library: Server, window: Windows) -> None:
    add(library, "name")
    page = open_list(window, library, "/tracks?job_id=name")
    page.get_by_role("link", name="Rename").focus()
    page.keyboard.press("Enter")
    field = page.get_by_role("textbox", name="Title", exact=True)
    expect(field).to_be_focused()
    field.fill("x")
    field.press("Escape")
    expect(page.get_by_role("link", name="Rename")).to_be_focused()
    page.keyboard.press("Enter")
    field.fill("Night train")
    library.call("PATCH", "/api/tracks/name-1", {"title": "Meanwhile"})
    field.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Meanwhile")).to_be_visible()
    field.press("Enter")
    expect(page.locator(".row-title")).to_have_text("Night train")
    assert library.call("GET", "/api/tracks/name-1")[1]["title"] == "Night train"


def test_rows_are_selected_by_keys_and_deleted_and_come_back(library: Server, window: Windows) -> None:
    for number in range(4):
        add(library, f"bulk-{number}")
    page = open_list(window, library, "/tracks?q=bulk")
    boxes = page.locator(".row input[type=checkbox]")
    boxes.first.focus()
    page.keyboard.press("Space")
    boxes.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#selected")).to_have_text("3 selected")
    add(library, "bulk-0", take=2)
    expect(page.locator("#selected")).to_have_text("3 selected")
    boxes.nth(2).press("Enter")
    expect(page.get_by_role("button", name="Star", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".row .star[aria-pressed=true]")).to_have_count(3)
    boxes.first.focus()
    page.keyboard.press("Control+a")
    expect(page.locator("#selected")).to_contain_text("4 selected")
    page.get_by_role("button", name="Delete…").click()
    expect(page.locator(".row")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row")).to_have_count(4)


def test_jobs_are_cancelled_together_and_deleted_after_a_question(library: Server, window: Windows) -> None:
    for number in range(3):
        add(library, f"both-{number}")
    page = open_list(window, library, "/?q=both")
    page.locator(".row").first.hover()
    page.locator(".row input[type=checkbox]").first.click()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".row[data-status=cancelled]")).to_have_count(3)
    page.locator(".row input[type=checkbox]").first.focus()
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 3 jobs").click()
    expect(page.get_by_text("No job matches")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_axe_finds_nothing_and_nothing_shifts(library: Server, window: Windows, width: int, scheme: Any) -> None:
    upload(library, "old-69-1", wav_bytes(1), "wav")
    page = window(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce").page
    page.add_init_script(f"({SHIFTS})()")
    for path in ("/tracks", "/tracks?q=nothing", "/", "/tracks/takes-1"):
        page.goto(library.url + path)
        expect(page.locator("#connection[data-state=live]")).to_be_attached(timeout=20_000)
        if page.locator(".row").count():
            page.locator(".row").nth(1).hover()
            page.locator(".row input[type=checkbox]").first.focus()
            page.keyboard.press("Space")
            expect(page.locator("#selection.shown")).to_be_visible()
        assert violations(page) == [], path
        assert page.evaluate("window.shift") < 0.05, path
        for other in (768, width):
            page.set_viewport_size({"width": other, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, other)


def test_everything_is_done_without_javascript(library: Server, window: Windows) -> None:
    for number in range(3):
        add(library, f"plain-{number}")
    page = window(java_script_enabled=False, viewport={"width": 390, "height": 844}).page
    page.goto(f"{library.url}/tracks?q=plain")
    page.get_by_role("button", name="Star Name plain-1").click()
    expect(page.locator("#job-plain-1 .star[aria-pressed=true]")).to_be_visible()
    for number in range(2):
        page.get_by_label(f"Select Name plain-{number}").check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 2 tracks").click()
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(f"{library.url}/tracks")
    page.goto(f"{library.url}/tracks/plain-1-1")
    page.get_by_role("textbox", name="Title", exact=True).fill("By hand")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="By hand")).to_be_visible()


def test_the_pages_have_no_errors(library: Server, window: Windows) -> None:
    seen = window()
    for path in ("/tracks", "/", "/tracks/old-01-1"):
        seen.page.goto(library.url + path)
        expect(seen.page.locator("#connection[data-state=live]")).to_be_visible()
    wait_for(lambda: seen.page.evaluate("document.readyState") == "complete", 30)
    seen.check(library)
