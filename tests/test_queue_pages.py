"""The queue on the pages, as they are without JavaScript: the head of the list, its rows, the page of a job."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient

from models import Job, utc_now
from repos import JobRepository, is_paused, set_paused
from tests.test_forecast import finished, waits, worker
from web.pages.queue import length

jobs = JobRepository()


@pytest.fixture
def queue(client: FlaskClient) -> None:
    """A running job and three that wait, of 100 s each; a worker needs 6 s for a second of music."""
    finished(speed=6)
    worker()
    for job_id in ("runs", "a", "b", "c"):
        waits(job_id, priority=int(job_id == "runs"))
    assert jobs.claim("box:1")


def head(page: str) -> str:
    """The words at the head of the list."""
    part = re.search(r'id="queue".*?</div>', page, re.S)
    assert part is not None
    return " ".join(re.sub(r"<[^>]*>", " ", part[0].partition(">")[2]).split())


def row(page: str, job_id: str) -> str:
    """A row of the list."""
    part = re.search(rf'<li class="row" id="job-{job_id}".*?</li>', page, re.S)
    assert part is not None
    return part[0]


def test_the_list_says_how_many_wait_and_how_long(client: FlaskClient, queue: None) -> None:
    page = client.get("/").text
    assert head(page) == "1 running, 3 waiting, about 40 min Tell me when all is done Pause the queue"
    assert "1 before it, about 30 min" in row(page, "b") and "next, about 20 min" in row(page, "a")
    assert 'action="/jobs/b/next"' in row(page, "b") and "/next" not in row(page, "a") + row(page, "runs")


def test_an_empty_queue_has_no_head(client: FlaskClient) -> None:
    finished()
    assert head(client.get("/").text) == ""


def test_the_form_pauses_the_queue_and_lets_it_go_on(client: FlaskClient, queue: None) -> None:
    answer = client.post("/queue", data={"paused": "true", "back": "/?show=waiting"})
    assert (answer.status_code, answer.location) == (303, "/?show=waiting") and is_paused()
    page = client.get("/?show=waiting").text
    assert head(page).startswith("The queue is paused. 1 running, 3 waiting, about 40 min") and "Go on" in head(page)
    assert "the queue is paused" in client.get("/jobs/a").text
    assert client.post("/queue", data={"paused": "false", "back": "https://evil.example/"}).location == "/"
    assert not is_paused()


def test_the_page_of_a_job_says_where_it_waits_and_makes_it_the_next(client: FlaskClient, queue: None) -> None:
    page = client.get("/jobs/c").text
    assert "2 before it, about 40 min" in page and 'action="/jobs/c/next"' in page
    assert client.post("/jobs/c/next").location == "/jobs/c"
    page = client.get("/jobs/c").text
    assert "next, about 20 min" in page and 'action="/jobs/c/next"' not in page


def test_the_page_of_a_running_job_says_what_is_left(client: FlaskClient, queue: None) -> None:
    Job.update(started_at=utc_now() - timedelta(minutes=6)).where(Job.job_id == "runs").execute()
    assert "about 4 min left" in client.get("/jobs/runs").text
    done = jobs.complete("runs", jobs.get_by_id("runs").lease_token, [])
    assert done is not None and "about" not in client.get("/jobs/runs").text.partition('id="job-state"')[2][:900]


def test_a_wide_range_is_shown(client: FlaskClient) -> None:
    for speed in (3, 6, 12):
        finished(speed=speed)
    worker()
    waits("a")
    assert re.search(r'title="Half of such jobs: \d+ min to \d+ min"', client.get("/jobs/a").text)


def test_a_row_is_another_version_when_its_place_is_another(client: FlaskClient, queue: None) -> None:
    before = row(client.get("/").text, "b").partition("data-status")[0]
    jobs.make_next("c")
    assert row(client.get("/").text, "b").partition("data-status")[0] != before


def test_without_history_only_the_place_is_shown(client: FlaskClient) -> None:
    for job_id in "ab":
        jobs.create(job_id=job_id, prompt="p")
    assert head(client.get("/").text).startswith("2 waiting Tell")
    assert "1 before it</span>" in client.get("/jobs/b").text
    set_paused(True)
    assert "1 before it</span>" in client.get("/jobs/b").text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "10 s"), (44, "40 s"), (95, "2 min"), (1500, "25 min"), (5400, "1.5 h"), (7200, "2 h"), (90_000, "25 h")],
)
def test_estimated_times_in_words(seconds: float, words: str) -> None:
    assert length(seconds) == words


def test_jobs_behind_the_forecast_have_a_place_by_four_more_statements(
    client: FlaskClient, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("records.forecast.MOST_PLANNED", 2)
    counts = []
    for number in range(6):
        jobs.create(job_id=f"w{number}", prompt="p", job_type="other")
        if number in (1, 3, 5):
            statements.clear()
            page = client.get("/").text
            counts.append(sum("SELECT" in statement for statement in statements))
    assert counts[1:] == [counts[0] + 4] * 2
    assert "5 before it" in row(page, "w5") and "1 before it" in row(page, "w1")


def test_the_jobs_that_wait_are_in_the_order_of_the_queue_page_by_page(client: FlaskClient) -> None:
    for number in range(101):
        waits(f"job-{number}", priority=-number)
    page = client.get("/?show=waiting").text
    seen = []
    for _ in range(2):
        seen += re.findall(r'id="job-(job-[0-9]+)"', page)
        page = client.get(unescape(re.search(r'rel="next" href="([^"]*)"', page)[1])).text  # type: ignore[index]
    seen += re.findall(r'id="job-(job-[0-9]+)"', page)
    assert seen == [f"job-{number}" for number in range(101)]
    assert 'action="/jobs/job-100/next"' in row(page, "job-100") and 'value="job-99"' in row(page, "job-100")
    assert "down" not in row(page, "job-100")


def test_a_filter_lists_the_waiting_jobs_newest_first_without_moves(client: FlaskClient, queue: None) -> None:
    page = client.get("/?show=waiting&job_type=song").text
    assert re.findall(r'id="job-([abc])"', page) == ["c", "b", "a"] and "data-move" not in page


def test_a_move_goes_back_to_the_list_that_had_the_form(client: FlaskClient, queue: None) -> None:
    answer = client.post("/jobs/c/next", data={"before": "b", "back": "/?show=waiting"})
    assert (answer.status_code, answer.location) == (303, "/?show=waiting")
    assert re.findall(r'id="job-([abc])"', client.get(answer.location).text) == ["a", "c", "b"]
    assert client.post("/jobs/c/next").location == "/jobs/c"
    assert client.post("/jobs/runs/next").status_code == 409 and client.post("/jobs/no/next").status_code == 404
    assert client.post("/jobs/c/next", data={"before": "no"}).status_code == 422
