"""The dashboard in a real Chromium, against the real service over a socket."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.conftest import Server, wait_for

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = [
    "<img src=x onerror=document.title='hit'>",
    "<script>document.title='hit'</script>",
    "javascript:document.title='hit'",
    "x" * 10_000,
]
OBSERVE = """() => {
  window.stayed = true;
  window.seen = new Set();
  const look = () => document.querySelectorAll("#jobs progress").forEach((bar) => window.seen.add(bar.value));
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""

expect.set_options(timeout=30_000)  # as for pages: the machine may be busy

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests here."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Watched:
    """A browser window; what goes wrong in it is written down."""

    def __init__(self, chromium: Browser, **options: Any) -> None:
        self.context: BrowserContext = chromium.new_context(**options)
        self.hosts: set[str] = set()
        self.errors: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        is_refused_stream = urlsplit(message.location["url"]).path.endswith("/events")  # the page asks instead
        if message.type in ("error", "warning") and not is_refused_stream:
            self.errors.append(f"{message.text} {message.location['url']}")

    def check(self, server: Server) -> None:
        """No error, and no request to another host."""
        assert self.errors == []
        assert self.hosts <= {urlsplit(server.url).netloc}


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens windows, and closes them afterwards."""
    opened: list[Watched] = []

    def open_one(**options: Any) -> Watched:
        opened.append(Watched(chromium, **options))
        return opened[-1]

    yield open_one
    for window in opened:
        window.context.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without workers that has 120 jobs and one with a track and loops in every status."""
    folder = tmp_path_factory.mktemp("browser")
    service = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0").start()
    for number in range(120):
        service.call(
            "POST", "/api/jobs", {"job_id": f"job-{number:03}", "prompt": f"song {number}", "job_type": "other"}
        )
    for text, job_id in zip(HOSTILE, ("a", "b", "c", "d"), strict=True):
        body = {"job_id": job_id, "prompt": text, "metadata": {"genre": text, "lyrics": text, text[:50]: text}}
        service.call("POST", "/api/jobs", body)
    service.call("PATCH", "/api/jobs/b", {"status": "failed", "error": HOSTILE[0]})
    service.call("PATCH", "/api/jobs/a", {"status": "generating_audio", "progress": 40, "message": HOSTILE[1]})
    track = {"track_id": "t", "metadata": {"track_name": HOSTILE[0]}, "file_path_wav": "none.wav", "duration": 30}
    service.call("POST", "/api/jobs/a/tracks", track)
    for status in ("PENDING", "RENDERING", "FAILED"):
        service.call("POST", "/api/tracks/t/loops", {"duration": 60, "status": status, "error": HOSTILE[0]})
    yield service
    service.signal_all(signal.SIGKILL)


def violations(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    rules = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {[node['html'] for node in rule['nodes']]}"
        for rule in rules
        if rule["impact"] in ("serious", "critical")
    ]


def new_job(page: Page, prompt: str, seconds: int) -> None:
    """Fill in and send the form for a job of the synthesiser."""
    page.wait_for_load_state()  # before its scripts run, the link opens a page instead of a dialog
    page.get_by_role("link", name="New job").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Prompt").fill(prompt)
    dialog.get_by_label("Genre").fill("Folk")
    dialog.get_by_label("Type").select_option("synth")
    dialog.get_by_label("Seconds").fill(str(seconds))
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_be_hidden()


def delete(page: Page, link: Any, files: bool = True) -> None:
    """Delete what the link is for, and confirm."""
    link.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Delete the audio files, too").set_checked(files)
    dialog.get_by_role("button", name="Delete").click()
    expect(dialog).to_be_hidden()


def test_a_song_from_the_form_to_a_downloaded_loop(
    server: Callable[..., Server], window: Callable[..., Watched]
) -> None:
    service, seen = server(WORKERS="1").start(), window()
    page = seen.page
    page.goto(service.url)
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    page.evaluate(OBSERVE)
    new_job(page, "quiet folk guitar", 20)
    row = page.locator("#jobs .row")
    expect(row).to_have_attribute("data-status", "completed", timeout=60_000)
    assert page.evaluate("window.stayed") and len(page.evaluate("[...window.seen]")) >= 2
    row.locator(".row-title").click()
    listen(page)
    make_loop(page)
    delete(page, page.get_by_label("Delete the 0:08 loop"))
    expect(page.locator(".loop")).to_have_count(0)
    delete(page, page.locator("#job-actions").get_by_text("Delete job…"))
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    assert not list(service.folder.glob("output/jobs/*"))
    # The player asks whether its loop is there.
    seen.errors = [error for error in seen.errors if "/api/loops/" not in error]
    seen.check(service)


def listen(page: Page) -> None:
    """Play the track, see its time pass, and seek by mouse and keyboard."""
    time = "document.getElementById('player-audio').currentTime"
    page.get_by_role("button", name="Play Take 1").click()
    wait_for(lambda: page.evaluate(time) > 0.3, 30)
    page.get_by_role("button", name="Pause Take 1").click()
    expect(page.get_by_role("button", name="Play Take 1")).to_be_visible()
    slider = page.get_by_role("slider", name="Position in Take 1")
    box = slider.bounding_box()
    assert box is not None
    middle: Any = {"x": box["width"] / 2, "y": 10}
    wait_for(lambda: slider.click(position=middle) or abs(page.evaluate(time) - 10) < 0.5, 30)
    slider.press("ArrowRight")
    wait_for(lambda: page.evaluate(time) > 10.5, 30)
    assert re.fullmatch("0:1[0-9] of 0:20", slider.get_attribute("aria-valuetext") or "")


def make_loop(page: Page) -> None:
    """Ask for a loop, see it come, play it and save it."""
    page.get_by_role("link", name="Make a loop").click()
    page.get_by_label("Seconds", exact=True).fill("8")
    page.get_by_label("Format").select_option("WAV")
    page.get_by_role("button", name="Make the loop").click()
    expect(page.locator(".make-loop > summary")).to_be_focused()
    play = page.get_by_role("button", name="Play the 0:08 loop")
    play.click(timeout=60_000)
    expect(page.locator("#player-title")).to_contain_text("0:08 loop")
    expect(page.locator("#player[hidden], #player-time:has-text('0:00')")).to_have_count(0, timeout=30_000)
    with page.expect_download() as download:
        page.get_by_label("Download the 0:08 loop").click()
    assert download.value.suggested_filename.endswith(".wav")
    sound = download.value.path().read_bytes()
    assert sound[:4] == b"RIFF" and len(sound) > 8 * 44_100


def test_a_running_job_is_cancelled_and_the_page_outlives_a_restart(
    server: Callable[..., Server], window: Callable[..., Watched]
) -> None:
    service, page = server(WORKERS="1").start(), window().page
    page.goto(service.url)
    page.evaluate(OBSERVE)
    new_job(page, "a very long drone", 600)
    expect(page.locator("#jobs .row")).to_have_attribute("data-status", "generating_audio", timeout=30_000)
    service.signal_all(signal.SIGTERM)
    expect(page.get_by_text("The service does not answer.")).to_be_visible()
    service.start()
    service.call("POST", "/api/jobs", {"prompt": "made meanwhile", "job_type": "other"})
    expect(page.get_by_text("made meanwhile")).to_be_visible(timeout=20_000)
    expect(page.locator("#offline")).to_be_hidden()
    assert page.evaluate("window.stayed")
    page.get_by_text("a very long drone").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-state")).to_have_attribute("data-status", "cancelled", timeout=20_000)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_a_job_changed_by_anyone_moves_on_the_page(filled: Server, window: Callable[..., Watched]) -> None:
    seen = window()
    seen.page.goto(f"{filled.url}/?q=script")
    filled.call("POST", "/api/jobs", {"job_id": "moving", "prompt": "made by a script", "job_type": "other"})
    row = seen.page.locator("#job-moving")
    expect(row).to_be_visible()
    filled.call("PATCH", "/api/jobs/moving", {"status": "exporting", "progress": 61, "message": "nearly"})
    expect(row.locator("progress")).to_have_js_property("value", 61)
    filled.call("PATCH", "/api/jobs/moving", {"progress": 77})
    expect(row.get_by_text("77%")).to_be_visible()
    filled.call("PATCH", "/api/jobs/moving", {"status": "completed"})
    expect(row.get_by_text("Completed")).to_be_visible()
    filled.call("DELETE", "/api/jobs/moving")
    expect(row).to_have_count(0)
    seen.check(filled)


def test_hostile_prompts_are_text(filled: Server, window: Callable[..., Watched]) -> None:
    seen = window(viewport={"width": 390, "height": 844}, is_mobile=True)
    page = seen.page
    for path in ("/", "/jobs/a", "/jobs/b", "/jobs/c", "/jobs/d"):
        page.goto(filled.url + path)
        expect(page.locator("#connection[data-state=live]")).to_be_visible()
        assert page.title().split(" · ")[0] != "hit"
        assert page.locator("#main img[src=x], #main script, a[href^='javascript']").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    seen.errors = [error for error in seen.errors if "waveform" not in error]  # there is no such file
    seen.check(filled)


def test_the_list_scrolls_on_and_is_narrowed_without_loading(filled: Server, window: Callable[..., Watched]) -> None:
    seen, rows = window(), "#jobs .row"
    page = seen.page
    page.goto(filled.url)
    page.evaluate("window.stayed = true")
    ids: set[str] = set()

    def read_on() -> bool:
        page.mouse.wheel(0, 1_000)
        ids.update(page.locator(rows).evaluate_all("rows => rows.map((row) => row.id)"))
        return len(ids) == 124  # not at once: pages of the list that are far away are emptied

    wait_for(read_on, 60)
    page.get_by_role("searchbox").fill("song 11")
    expect(page.locator(rows)).to_have_count(11)  # 11 and 110 to 119
    page.get_by_role("link", name="Failed").click()
    expect(page.get_by_text("No job matches")).to_be_visible()
    assert "show=failed" in page.url and "q=song+11" in page.url
    page.go_back()
    expect(page.locator(rows)).to_have_count(11)
    page.get_by_role("searchbox").press("Tab")
    assert page.evaluate("window.stayed")
    seen.check(filled)


def test_a_refused_form_says_it_at_the_field_and_can_be_mended(filled: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(filled.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("link", name="New job").first.press("Enter")
    prompt = page.get_by_role("dialog").get_by_label("Prompt")
    expect(prompt).to_be_focused()
    prompt.fill("x" * 20_001)
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#new-prompt-error")).to_contain_text("at most 20000 characters")
    expect(prompt).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="New job").first.click()
    assert len(prompt.input_value()) == 20_001


EVERYWHERE = ("/", "/?q=nothing", "/jobs/a", "/jobs/b", "/new", "/jobs/none", "/jobs/a/delete")


@pytest.mark.parametrize(("scheme", "paths"), [("light", EVERYWHERE), ("dark", EVERYWHERE[:4])])
def test_axe_finds_nothing_serious(
    filled: Server, window: Callable[..., Watched], scheme: Any, paths: tuple[str, ...]
) -> None:
    page = window(color_scheme=scheme, reduced_motion="reduce").page
    for path in paths:
        page.goto(filled.url + path)
        assert violations(page) == [], path
    page.goto(filled.url + "/jobs/a")
    page.get_by_role("link", name="Make a loop").click()
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []


def test_everything_is_there_without_javascript(filled: Server, window: Callable[..., Watched]) -> None:
    page = window(java_script_enabled=False).page
    page.goto(filled.url)
    page.get_by_role("link", name="Older jobs").click()
    expect(page.locator("#jobs .row")).to_have_count(50)
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Prompt").fill("by hand")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled")).to_be_visible()
    page.get_by_role("link", name="Delete job…").click()
    page.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(filled.url + "/")
    page.goto(filled.url + "/jobs/a")
    page.locator(".take-more > summary").click()
    expect(page.locator("audio[controls]")).to_be_visible()


def test_with_a_token_the_page_works_once_signed_in(
    server: Callable[..., Server], window: Callable[..., Watched]
) -> None:
    service, seen = server(API_TOKEN="open sesame").start(), window()
    page = seen.page
    page.goto(service.url + "/?q=song")
    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(service.url + "/?q=song")
    new_job(page, "song of the signed in", 5)
    expect(page.get_by_text("song of the signed in")).to_be_visible()
    seen.check(service)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
