"""The form for a new job in a real Chromium: its fields follow the type, and what was typed is kept."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import Server, wait_for
from tests.models_of_music import TABLES
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture
def recipes(tmp_path: Path) -> dict[str, str]:
    """The setting for a server with recipes for opera and noise."""
    file = tmp_path / "generators.toml"
    file.write_text(TABLES)
    return {"GENERATORS": str(file)}


@pytest.fixture
def running(server: Callable[..., Server], recipes: dict[str, str]) -> Iterator[Server]:
    """A server without workers."""
    yield server(**recipes).start()


def open_form(page: Page, service: Server) -> Locator:
    """The form in its dialog on the list of jobs."""
    page.goto(service.url)
    page.wait_for_load_state()
    page.get_by_role("link", name="New job").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Parameters of opera")).to_be_visible()
    return dialog


def only_job(service: Server) -> dict[str, Any]:
    """The one job of a server."""
    wait_for(lambda: len(service.call("GET", "/api/jobs")[1]["items"]) == 1, 30)
    job: dict[str, Any] = service.call("GET", "/api/jobs")[1]["items"][0]
    return job


def test_the_fields_follow_the_type_and_keep_what_was_typed(running: Server, window: Callable[..., Watched]) -> None:
    seen = window()
    form = open_form(seen.page, running)
    form.get_by_label("Prompt").fill("a duet")
    form.get_by_label("steps").fill("50")
    form.get_by_label("chunked").uncheck()
    form.get_by_label("voice").select_option("high")
    form.get_by_label("Lyrics").fill("la")
    for job_type, title in (("synth", "Parameters of synth"), ("noise", "noise takes no lyrics"), ("opera", "steps")):
        form.get_by_label("Type").focus()
        form.get_by_label("Type").select_option(job_type)
        expect(form.get_by_text(title).first).to_be_visible()
        expect(form.get_by_label("Type")).to_be_focused()
        expect(form.get_by_label("Lyrics")).to_have_value("la")
    form.get_by_role("button", name="Make it").click()
    expect(form).to_be_hidden()
    expected = {"lyrics": "la", "parameters": {"steps": 50, "chunked": False, "voice": "high"}}
    job = only_job(running)
    assert (job["job_type"], job["metadata"], job["takes"], job["seed"]) == ("opera", expected, 1, None)
    seen.check(running)


def test_an_error_is_at_its_field_and_can_be_mended(running: Server, window: Callable[..., Watched]) -> None:
    form = open_form(window().page, running)
    form.get_by_label("Prompt").fill("a duet")
    steps = form.get_by_label("steps")
    steps.fill("5")
    steps.evaluate("field => field.removeAttribute('min')")  # else the browser itself refuses it
    steps.press("Enter")
    expect(form.get_by_text("expected an integer from 10 to 100")).to_be_visible()
    expect(steps).to_be_focused()
    steps.fill("20")
    form.get_by_label("Takes").fill("4")
    form.get_by_label("Seed").fill("7")
    form.get_by_label("Seed").press("Enter")
    expect(form).to_be_hidden()
    job = only_job(running)
    assert (job["metadata"]["parameters"]["steps"], job["takes"], job["seed"]) == (20, 4, 7)


def test_a_type_that_cannot_be_shown_is_not_chosen(running: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    form = open_form(page, running)
    page.route("**/new?*", lambda route: route.abort())
    form.get_by_label("Type").select_option("synth")
    expect(page.locator("#announcer")).to_contain_text("does not answer")
    expect(form.get_by_label("Type")).to_have_value("opera")
    expect(form.locator("form")).to_have_attribute("aria-busy", "false")


def test_a_form_that_is_sent_while_its_fields_load_is_sent_with_them(
    running: Server, window: Callable[..., Watched]
) -> None:
    page = window().page
    form = open_form(page, running)
    form.get_by_label("Prompt").fill("a waltz")
    waiting = list[Route]()
    page.route("**/new?*", lambda route: waiting.append(route))
    form.get_by_label("Type").select_option("synth")
    wait_for(lambda: page.evaluate("0") or waiting, 20)
    form.get_by_role("button", name="Make it").click()
    waiting[0].continue_()
    expect(form).to_be_hidden()
    assert only_job(running)["job_type"] == "synth"


def test_the_form_works_on_a_phone_without_javascript(running: Server, window: Callable[..., Watched]) -> None:
    page = window(java_script_enabled=False, **PHONE).page
    page.goto(f"{running.url}/new?job_type=synth")
    page.get_by_label("Prompt").fill("a duet")
    page.get_by_label("Seconds").fill("60")
    page.get_by_label("Type").select_option("opera")
    page.get_by_role("button", name="Show its fields").click()
    expect(page.get_by_label("Prompt")).to_have_value("a duet")
    page.get_by_label("steps").fill("50")
    page.get_by_label("chunked").uncheck()
    page.get_by_label("Seed").press("Enter")
    expect(page.get_by_role("heading", name="a duet")).to_be_visible()
    parameters = {"steps": 50, "chunked": False, "voice": "low"}
    assert only_job(running)["metadata"] == {"duration": 60, "parameters": parameters}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_fields(running: Server, window: Callable[..., Watched], scheme: Any) -> None:
    for size in ({}, PHONE):
        page = window(color_scheme=scheme, reduced_motion="reduce", **size).page
        for job_type in ("opera", "echo", "noise", "synth"):
            page.goto(f"{running.url}/new?job_type={job_type}")
            assert violations(page) == [], job_type
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), job_type


def test_a_track_is_made_again_from_its_page(
    server: Callable[..., Server], recipes: dict[str, str], window: Callable[..., Watched]
) -> None:
    service, seen = server(WORKERS="1", **recipes).start(), window(**PHONE)
    page = seen.page
    body = {"job_id": "song", "prompt": "upbeat pop", "job_type": "synth", "takes": 2, "metadata": {"duration": 3}}
    service.call("POST", "/api/jobs", body)
    page.goto(f"{service.url}/jobs/song")
    expect(page.get_by_text("take 2 of 2").first).to_be_visible(timeout=60_000)
    page.get_by_label("More about Take 2").click()
    page.get_by_text("How Take 2 was made").click()
    expect(page.locator("#job-state")).to_have_attribute("data-status", "completed")
    assert violations(page) == [] and page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Make again").click()
    expect(page).not_to_have_url(f"{service.url}/jobs/song")
    expect(page.locator("#job-state")).to_have_attribute("data-status", "completed", timeout=60_000)
    again, song = service.call("GET", "/api/jobs")[1]["items"]
    assert (again["seed"], again["takes"]) == ((song["seed"] + 1) % 2**32, 1)
    page.get_by_role("button", name="Same again").dblclick()
    expect(page).not_to_have_url(f"{service.url}/jobs/{again['job_id']}")
    assert len(service.call("GET", "/api/jobs")[1]["items"]) == 3
    seen.check(service)
