"""Templates and changed words in a real Chromium: in the dialog, on the page of a job, and without JavaScript."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import Server
from tests.models_of_music import TABLES
from tests.test_browser import CHROMIUM, Watched, chromium, violations, window
from tests.test_new_page_in_a_browser import PHONE, open_form

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
Windows = Callable[..., Watched]
METADATA = {"lyrics": "[verse]\nla", "genre": "Opera", "artist": "Ada", "parameters": {"steps": 50}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without workers, with a finished job of opera and twelve of synth."""
    folder: Path = tmp_path_factory.mktemp("filled")
    (folder / "generators.toml").write_text(TABLES)
    recipes = str(folder / "generators.toml")
    running = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0", GENERATORS=recipes).start()
    body: dict[str, Any] = {"job_type": "opera", "prompt": "a duet", "seed": 5, "takes": 4, "metadata": METADATA}
    for seconds in range(20, 28):
        song = {"job_type": "synth", "prompt": f"song {seconds}", "metadata": {"duration": seconds}}
        running.call("POST", "/api/jobs", song)
    running.call("POST", "/api/jobs", {"job_id": "aria", **body})
    running.call("PATCH", "/api/jobs/aria", {"status": "completed"})
    yield running
    running.stop()


def newest(service: Server) -> dict[str, Any]:
    """The newest job."""
    job: dict[str, Any] = service.call("GET", "/api/jobs?limit=1")[1]["items"][0]
    return job


def test_a_template_fills_the_dialog_and_keeps_what_was_typed(service: Server, window: Windows) -> None:
    seen = window()
    form = open_form(seen.page, service)
    form.get_by_label("Prompt").fill("a slow march")
    form.get_by_role("link", name="synth, 24 s").press("Enter")
    expect(form.get_by_label("Seconds")).to_have_value("24")
    expect(form.get_by_label("Prompt")).to_be_focused()
    expect(form.get_by_label("Prompt")).to_have_value("a slow march")
    form.get_by_role("button", name="Make it").click()
    expect(form).to_be_hidden()
    job = newest(service)
    assert (job["prompt"], job["job_type"], job["metadata"]) == ("a slow march", "synth", {"duration": 24})
    seen.check(service)


def test_words_are_changed_with_the_same_seed_and_another_type(service: Server, window: Windows) -> None:
    page = window().page
    page.goto(f"{service.url}/jobs/aria")
    page.get_by_role("link", name="Same seed, changed words").click()
    form = page.get_by_role("main")
    expect(form.get_by_text("no fields for them: artist")).to_be_visible()
    form.get_by_label("Type").select_option("synth")
    expect(form.get_by_text("Parameters of synth")).to_be_visible()
    expect(form.get_by_label("Lyrics")).to_have_value("[verse]\nla")
    form.get_by_label("Type").select_option("opera")
    expect(form.get_by_label("steps")).to_have_value("50")
    form.get_by_label("Prompt").fill("a trio")
    form.get_by_label("Seed").press("Enter")
    expect(page.get_by_role("heading", name="a trio")).to_be_visible()
    job = newest(service)
    assert (job["prompt"], job["seed"], job["takes"]) == ("a trio", 5, 4)
    assert job["metadata"]["lyrics"] == "[verse]\nla" and job["metadata"]["parameters"]["steps"] == 50


def test_both_work_on_a_phone_without_javascript(service: Server, window: Windows) -> None:
    page = window(java_script_enabled=False, **PHONE).page
    page.goto(f"{service.url}/jobs/aria")
    page.get_by_role("link", name="Same seed, changed words").press("Enter")
    expect(page.get_by_label("Seed")).to_have_value("5")
    page.get_by_role("link", name="synth, 22 s").press("Enter")
    expect(page.get_by_label("Seconds")).to_have_value("22")
    expect(page.get_by_label("Seed")).to_have_value("")


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1440)])
def test_axe_finds_nothing_in_the_filled_form(service: Server, window: Windows, scheme: Any, width: int) -> None:
    page = window(color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 844}).page
    page.goto(f"{service.url}/new?like=aria&seed=5")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
