"""The router in a real Chromium: pages change in one document, and whatever it cannot show is left to the browser."""

import re
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import Server, wait_for
from tests.played import add_job, expect_sound, play, serve, state_of, time_of
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
STAYED = "window.stayed === true"
CLEAN = ("/", "/?show=completed", "/?q=none", "/jobs/song", "/new", "/jobs/song/delete")


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 120 jobs, one of which has tracks."""
    service = serve(tmp_path_factory.mktemp("router"))
    for number in range(119):
        add_job(service, f"job-{number:03}", [], prompt=f"number {number:03}")
    add_job(service, "song", [60, 60])
    yield service
    service.stop()


@pytest.fixture
def page(window: Callable[..., Watched], listed: Server) -> Iterator[Page]:
    """A window with the list of jobs, in one document until the end and without an error."""
    seen = window()
    open_list(seen.page, listed)
    yield seen.page
    assert seen.page.evaluate(STAYED)
    seen.check(listed)


def open_list(page: Page, service: Server) -> None:
    """Load the list of jobs, and mark its document."""
    page.goto(service.url)
    expect(page.locator("html.js")).to_have_count(1)
    page.evaluate("window.stayed = true")


def top_of(link: Locator) -> float:
    """How far a link is below the top of the window, in pixels."""
    return float(link.evaluate("link => link.getBoundingClientRect().top"))


def scrolled(page: Page) -> int:
    """How far the page is scrolled, in pixels."""
    return int(page.evaluate("scrollY"))


def test_back_and_forward_show_the_pages_where_they_were(page: Page, listed: Server) -> None:
    link = page.get_by_role("link", name="number 031", exact=True)
    wait_for(lambda: page.mouse.wheel(0, 1_000) or link.count(), 60)
    link.scroll_into_view_if_needed()
    assert scrolled(page) > 2000
    before = top_of(link)
    link.click()
    heading = page.get_by_role("heading", name="number 031")
    expect(heading).to_be_focused()
    assert scrolled(page) == 0 and page.title() == "number 031 · DiffRhythm Ledger"
    expect(page.locator("#announcer")).to_have_text(page.title())
    page.go_back()
    wait_for(lambda: link.count() and abs(top_of(link) - before) < 20, 30)
    expect(link).to_be_focused()
    assert page.url == f"{listed.url}/" and page.title() == "Jobs · DiffRhythm Ledger"
    listed.call("PATCH", "/api/jobs/job-118", {"prompt": "renamed"})
    listed.call("POST", "/api/jobs", {"job_id": "late", "prompt": "late", "job_type": "other"})
    page.get_by_role("button", name="1 new").press("Enter")  # the page that came back is alive
    expect(page.locator("#job-late")).to_be_attached()
    listed.call("DELETE", "/api/jobs/late")
    page.go_forward()
    expect(heading).to_be_focused()


def test_the_place_in_the_navigation_is_that_of_the_page(page: Page) -> None:
    jobs = page.locator(".places").get_by_role("link", name="Jobs")
    expect(jobs).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="song song", exact=True).click()
    expect(jobs).to_have_attribute("aria-current", "true")
    jobs.click()
    expect(jobs).to_have_attribute("aria-current", "page")
    page.goto(f"{page.url}new") if page.url.endswith("/") else None
    expect(jobs).not_to_have_attribute("aria-current", re.compile(".+"))
    page.evaluate("window.stayed = true")


def test_the_list_shows_its_filters_on_back_and_forward(page: Page, listed: Server) -> None:
    page.get_by_role("link", name="Failed").click()
    expect(page.get_by_text("No failed jobs")).to_be_visible()
    page.get_by_role("link", name="Show all jobs").click()
    page.get_by_role("link", name="song song", exact=True).click()
    expect(page.get_by_role("heading", name="song song")).to_be_focused()
    page.go_back()
    page.go_back()
    expect(page.get_by_text("No failed jobs")).to_be_visible()
    page.go_forward()
    expect(page.locator("#jobs .row")).to_have_count(50)
    page.go_forward()
    expect(page.get_by_role("heading", name="song song")).to_be_visible()


def test_an_answer_for_the_list_before_does_not_change_the_list_that_came_meanwhile(page: Page, listed: Server) -> None:
    before, after = list[Route](), list[Route]()  # requests that wait
    page.route(f"{listed.url}/", lambda route: before.append(route))
    page.route(f"{listed.url}/\\?show=failed", lambda route: after.append(route))
    page.get_by_role("link", name="Failed").click()
    wait_for(lambda: page.evaluate("0") or after, 20)
    listed.call("POST", "/api/jobs", {"job_id": "between", "prompt": "between", "job_type": "other"})
    wait_for(lambda: page.evaluate("0") or before, 20)
    after.pop().continue_()
    expect(page.get_by_text("No failed jobs")).to_be_visible()
    page.unroute(f"{listed.url}/\\?show=failed")
    with page.expect_response(lambda answer: answer.url.endswith("/?show=failed")):  # the list reads itself again
        before.pop().continue_()
    expect(page.locator("#tabs [aria-current]")).to_have_text(re.compile("Failed"))
    expect(page.get_by_text("No failed jobs")).to_be_visible()
    listed.call("DELETE", "/api/jobs/between")


def test_the_later_of_two_clicks_wins(page: Page, listed: Server) -> None:
    waiting: list[Route] = []
    page.route("**/jobs/job-116", lambda route: waiting.append(route))
    page.get_by_role("link", name="number 116", exact=True).click()
    wait_for(lambda: page.evaluate("1") and waiting, 30)  # the route is called while Playwright waits
    page.get_by_role("link", name="number 115", exact=True).click()
    expect(page.get_by_role("heading", name="number 115")).to_be_focused()
    waiting[0].continue_()
    page.go_back()
    expect(page.locator("#jobs .row")).not_to_have_count(0)
    page.go_forward()
    expect(page.get_by_role("heading", name="number 115")).to_be_visible()


def test_back_ends_the_loading_of_another_page_and_forward_reads_nothing(page: Page) -> None:
    page.get_by_role("link", name="number 114", exact=True).click()
    expect(page.get_by_role("heading", name="number 114")).to_be_focused()
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    waiting: list[Route] = []
    page.route("**/tracks", lambda route: waiting.append(route))
    page.get_by_role("link", name="Tracks", exact=True).click()
    wait_for(lambda: page.evaluate("1") and waiting, 30)  # the route is called while Playwright waits
    page.go_back()
    expect(page.get_by_role("link", name="number 114", exact=True)).to_be_focused()
    waiting[0].continue_()
    page.route("**/jobs/job-114", lambda route: waiting.append(route))
    page.go_forward()
    expect(page.get_by_role("heading", name="number 114")).to_be_focused()  # the page was kept
    expect(page.locator("main")).to_have_attribute("data-page", "job")
    page.unroute_all(behavior="ignoreErrors")


def test_every_page_can_be_loaded_afresh(window: Callable[..., Watched], listed: Server) -> None:
    seen = window()
    for path in CLEAN:
        seen.page.goto(listed.url + path)
        heading = seen.page.locator("h1").first.inner_text()
        seen.page.goto(f"{listed.url}/jobs/job-001")
        seen.page.evaluate("path => history.pushState(null, '', path)", path)
        seen.page.reload()
        assert seen.page.locator("h1").first.inner_text() == heading
    seen.check(listed)


def test_a_form_is_sent_while_the_sound_goes_on(page: Page, listed: Server) -> None:
    page.get_by_role("link", name="song song", exact=True).click()
    play(page, "Track song-1")
    before = time_of(page)
    page.get_by_role("button", name="Make another").dblclick()
    expect(page.locator("#job-state")).to_have_attribute("data-status", "pending")
    again = page.url.rsplit("/", 1)[1]
    assert again != "song" and time_of(page) > before and state_of(page) == "playing"
    page.get_by_role("link", name="Delete job…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{listed.url}/")
    expect_sound(page, "Track song-1")
    assert listed.call("GET", f"/api/jobs/{again}")[0] == 404


def test_an_error_page_is_shown_and_the_sound_goes_on(window: Callable[..., Watched], listed: Server) -> None:
    seen = window()
    open_list(seen.page, listed)
    seen.page.get_by_role("link", name="song song", exact=True).click()
    play(seen.page, "Track song-1")
    seen.page.evaluate("document.querySelector('.crumb a').href = '/jobs/no-such-job'")
    seen.page.locator(".crumb a").click()
    expect(seen.page.get_by_text("404")).to_be_visible()
    assert seen.page.evaluate(STAYED) and state_of(seen.page) == "playing"
    seen.page.go_back()
    expect(seen.page.get_by_role("heading", name="song song")).to_be_visible()


def test_what_is_no_page_is_left_to_the_browser(window: Callable[..., Watched], listed: Server) -> None:
    page = window().page
    open_list(page, listed)
    page.get_by_role("link", name="API").click()
    expect(page).to_have_url(f"{listed.url}/docs/")
    assert not page.evaluate(STAYED)
    open_list(page, listed)
    page.get_by_role("link", name="song song", exact=True).click()
    page.locator(".take-more > summary").first.click()
    with page.expect_download() as download:
        page.get_by_label("Download Track song-1 as WAV").click()
    assert download.value.path().stat().st_size > 100_000 and page.evaluate(STAYED)
    with page.context.expect_page() as other:
        page.get_by_role("link", name="Jobs", exact=True).first.click(modifiers=["Control"])
    expect(other.value).to_have_url(f"{listed.url}/")
    page.get_by_role("link", name="the whole record").click()
    expect(page).to_have_url(re.compile("/api/jobs/song"))


def test_while_the_service_is_away_the_page_stays_and_says_so(
    window: Callable[..., Watched], server: Callable[..., Server]
) -> None:
    service = server().start()
    add_job(service, "song", [60])
    add_job(service, "other", [])
    page = window().page
    open_list(page, service)
    page.get_by_role("link", name="song song", exact=True).click()
    expect(page.get_by_role("heading", name="song song")).to_be_visible()
    service.signal_all(signal.SIGKILL)
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.locator("#announcer.shown")).to_contain_text("does not answer")
    page.go_back()  # to the list, of which the browser has a copy
    expect(page.get_by_role("link", name="song other", exact=True)).to_be_visible()
    page.get_by_role("link", name="song other", exact=True).click()
    expect(page.locator("#announcer.shown")).to_contain_text("does not answer")
    service.start()
    page.get_by_role("link", name="song other", exact=True).click()
    expect(page.get_by_role("heading", name="song other")).to_be_visible(timeout=20_000)
    assert page.evaluate(STAYED)


def test_a_proxy_without_its_service_counts_as_no_answer(listed: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(listed.url)
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    for url in (f"{listed.url}/", f"{listed.url}/api/events*"):
        page.route(url, lambda route: route.fulfill(status=502))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the page opens its stream again
    expect(page.get_by_text("The service does not answer.")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    expect(page.locator("#offline")).to_be_hidden()


def test_one_who_is_signed_out_signs_in_and_comes_back(
    window: Callable[..., Watched], server: Callable[..., Server]
) -> None:
    service = server(API_TOKEN="open sesame").start()
    page = window().page
    page.goto(f"{service.url}/new")
    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("html.js")).to_have_count(1)
    expect(page.get_by_role("heading", name="New job")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page).to_have_url(f"{service.url}/sign-in?next=%2F")
    page.get_by_label("Token").fill("open sesame")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    page.context.clear_cookies()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")  # the page reads its news
    expect(page.get_by_role("alert").get_by_role("link", name="Sign in")).to_be_visible()
    expect(page).to_have_url(f"{service.url}/")


def test_without_javascript_the_browser_plays_the_sounds(window: Callable[..., Watched], listed: Server) -> None:
    page = window(java_script_enabled=False).page
    page.goto(listed.url)
    page.get_by_role("link", name="song song", exact=True).click()
    page.locator(".take-more > summary").first.click()
    expect(page.get_by_label("Track song-1", exact=True)).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    page.get_by_role("link", name="Play Track song-1").click()
    expect(page).to_have_url(re.compile(r"/api/tracks/song-1/audio"))
