"""The log of a job in a real Chromium: it follows its end, is searched as one types, and works without JavaScript."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.conftest import Server, wait_for
from tests.played import serve
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
TRACE = "Traceback (most recent call last):\n  File <b>x</b>, line 3\nRuntimeError: CUDA out of memory\n"
LINES = "".join(f"chunk {chr(97 + number % 26)} is ready\n" for number in range(120))
SCROLL = "document.getElementById('log').scrollTop"
AT_END = "(log => log.scrollHeight - log.scrollTop - log.clientHeight < 2)(document.getElementById('log'))"


@pytest.fixture(scope="module")
def logging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without workers."""
    service = serve(tmp_path_factory.mktemp("logging"))
    yield service
    service.signal_all(signal.SIGKILL)


@pytest.fixture
def log(logging: Server, request: pytest.FixtureRequest) -> Path:
    """The log of a running job with the name of the test."""
    job_id = request.node.originalname
    logging.call("POST", "/api/jobs", {"job_id": job_id, "prompt": "song", "job_type": "other"})
    logging.call("PATCH", f"/api/jobs/{job_id}", {"status": "generating_audio"})
    path = logging.storage / "jobs" / job_id / "generator.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TRACE + LINES)
    return path


@pytest.fixture
def page(window: Callable[..., Watched], logging: Server, log: Path) -> Iterator[Page]:
    """The page of the running job; it had no errors in the end."""
    seen = window(viewport={"width": 1440, "height": 700})
    seen.page.goto(f"{logging.url}/jobs/{log.parent.name}")
    yield seen.page
    seen.check(logging)


def add(log: Path, text: str) -> None:
    """Let the generator print more."""
    with log.open("a") as file:
        file.write(text)


def test_the_log_follows_its_end_only_if_the_reader_is_there(page: Page, log: Path) -> None:
    shown = page.locator("#log")
    wait_for(lambda: page.evaluate(AT_END), 30)
    add(log, "step 1/9\rstep 2/9\r")
    expect(shown.locator("p").last).to_have_text("step 2/9 ×2")
    assert page.evaluate(AT_END)
    shown.focus()
    page.keyboard.press("Home")
    wait_for(lambda: page.evaluate(SCROLL) == 0, 30)
    add(log, "step 3/9\r" + LINES)
    expect(shown.locator("p").last).to_have_text("chunk p is ready")
    assert page.evaluate(SCROLL) == 0
    expect(shown).to_be_focused()


def test_the_log_is_searched_as_one_types(page: Page, log: Path) -> None:
    field = page.get_by_role("searchbox", name="Lines with these words")
    field.press_sequentially("chunk q")
    expect(page.locator("#log p")).to_have_text(["chunk q is ready ×4"])
    expect(page.locator("#announcer")).to_have_text("1 line of the log")
    assert page.url.endswith("?log=chunk+q")
    add(log, "chunk q again\n")
    expect(page.locator("#log p")).to_have_text(["chunk q is ready ×4", "chunk q again"])
    field.fill("<nothing>")
    expect(page.locator("#log")).to_have_text("No line has <nothing>.")
    field.fill("")
    expect(page.locator("#log p").first).to_have_text("Traceback (most recent call last):")
    assert "log" not in page.url.partition("?")[2]


def test_words_typed_while_the_module_of_the_log_loads_are_searched(
    window: Callable[..., Watched], logging: Server, log: Path
) -> None:
    seen = window(viewport={"width": 1440, "height": 700})
    held = list[Route]()
    seen.page.route("**/log.js*", lambda route: held.append(route))
    seen.page.goto(f"{logging.url}/jobs/{log.parent.name}")
    wait_for(lambda: seen.page.evaluate("0") or held, 20)
    seen.page.get_by_role("searchbox", name="Lines with these words").fill("chunk q")
    held.pop().continue_()
    expect(seen.page.locator("#log p")).to_have_text(["chunk q is ready ×4"])
    expect(seen.page.locator("#announcer")).to_have_text("1 line of the log")
    seen.check(logging)


def test_the_log_is_followed_again_after_a_retry(page: Page, log: Path, logging: Server) -> None:
    logging.call("PATCH", f"/api/jobs/{log.parent.name}", {"status": "failed", "error": "no"})
    expect(page.locator("#log")).to_have_attribute("data-final", "true")
    logging.call("POST", f"/api/jobs/{log.parent.name}/retry")
    add(log, "again\n")
    expect(page.locator("#log p").last).to_have_text("again")


def test_text_that_the_reader_selects_stays_selected(page: Page, log: Path) -> None:
    page.locator("#log p").last.select_text()
    add(log, "more\n")
    for _ in range(2):  # when the second answer comes, the first was shown
        with page.expect_response(lambda answer: answer.url.endswith("/log")):
            pass
    assert page.evaluate("getSelection().toString()").strip() == "chunk p is ready"
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator("#log p").last).to_have_text("more")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_log_is_searched_without_javascript(
    window: Callable[..., Watched], logging: Server, log: Path, width: int, scheme: str
) -> None:
    seen = window(viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=False)
    seen.page.goto(f"{logging.url}/jobs/{log.parent.name}")
    error = seen.page.get_by_role("group", name="Error")
    expect(error.locator("p")).to_have_text(
        ["Traceback (most recent call last):", "File <b>x</b>, line 3", "RuntimeError: CUDA out of memory"]
    )
    seen.page.get_by_role("searchbox").fill("chunk b")
    seen.page.get_by_role("button", name="Search").click()
    expect(seen.page.locator("#log p")).to_have_text(["chunk b is ready ×5"])
    assert seen.page.url.endswith("?log=chunk+b#log")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_log_has_no_barriers(
    window: Callable[..., Watched], logging: Server, log: Path, width: int, scheme: str
) -> None:
    seen = window(viewport={"width": width, "height": 800}, color_scheme=scheme)
    add(log, "step 1\nstep 2\n")
    seen.page.goto(f"{logging.url}/jobs/{log.parent.name}")
    expect(seen.page.locator(".log-count")).to_have_text("×2")
    assert violations(seen.page) == []
