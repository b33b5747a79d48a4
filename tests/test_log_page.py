"""The log of a job on its page, as a fragment, and folded over REST."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from files.storage import Storage
from models import Job
from settings import Settings
from tests.conftest import on_sqlite

CONTENT = "Loading <b>\nstep 1/9\rstep 2/9\rstep 3/9\nRuntimeError: no memory\nstep 4/9\n"


@pytest.fixture
def log(settings: Settings, job: Job) -> Path:
    """The log of job-1."""
    path = Storage(settings).log("job-1")
    path.parent.mkdir(parents=True)
    path.write_text(CONTENT)
    return path


def lines(page: str) -> list[str]:
    """The lines of the log in a page, as HTML."""
    return re.findall(r"<p>(.*)</p>", page.partition('id="log"')[2].partition("</section>")[0])


@on_sqlite
def test_the_page_shows_the_log_folded_with_marked_errors(client: FlaskClient, log: Path) -> None:
    page = client.get("/jobs/job-1").text
    count = '<span class="log-count" title="the newest of 3 lines like this">×3</span>'
    assert lines(page) == ["Loading &lt;b&gt;", f"step 3/9 {count}", "RuntimeError: no memory", "step 4/9"]
    assert re.search(r'<div class="log-error" role="group" aria-label="Error">\s*<p>RuntimeError', page)


@on_sqlite
def test_the_log_is_searched_without_javascript(client: FlaskClient, log: Path) -> None:
    page = client.get("/jobs/job-1").text
    assert 'method="get" action="/jobs/job-1#log"' in page and 'name="log" value=""' in page
    searched = client.get("/jobs/job-1?log=STEP+4").text
    assert lines(searched) == ["step 4/9"] and 'name="log" value="STEP 4"' in searched
    assert "No line has &lt;i&gt;." in client.get("/jobs/job-1?log=<i>").text


@on_sqlite
@pytest.mark.parametrize("words", ["%00", "x" * 5000, "%ff", "++", "[", "%F0%9F%8E%B5"])
def test_any_words_can_be_searched(client: FlaskClient, log: Path, words: str) -> None:
    for path in ("/jobs/job-1", "/jobs/job-1/log"):
        assert client.get(f"{path}?log={words}").status_code == 200


@on_sqlite
def test_a_fragment_has_the_lines_and_an_etag(client: FlaskClient, log: Path) -> None:
    first = client.get("/jobs/job-1/log")
    known = {"If-None-Match": first.headers["ETag"]}
    assert lines(first.text)[-1] == "step 4/9" and "<html" not in first.text
    assert client.get("/jobs/job-1/log", headers=known).status_code == 304
    assert lines(client.get("/jobs/job-1/log?log=loading", headers=known).text) == ["Loading &lt;b&gt;"]
    with log.open("a") as file:
        file.write("end\n")
    assert lines(client.get("/jobs/job-1/log", headers=known).text)[-1] == "end"


@on_sqlite
def test_a_fragment_says_that_it_is_the_last_one(client: FlaskClient, log: Path) -> None:
    first = client.get("/jobs/job-1/log")
    client.patch("/api/jobs/job-1", json={"status": "cancelled"})
    last = client.get("/jobs/job-1/log", headers={"If-None-Match": first.headers["ETag"]})
    assert 'data-final="false"' in first.text and 'data-final="true"' in last.text


@on_sqlite
def test_a_job_without_a_log(client: FlaskClient, job: Job) -> None:
    for path in ("/jobs/job-1", "/jobs/job-1/log"):
        assert "Nothing has been printed yet." in client.get(path).text
    assert client.get("/jobs/nobody/log").status_code == 404
    assert client.get("/api/jobs/job-1/log?fold=true").data == b""


@on_sqlite
def test_the_page_shows_the_errors_before_the_newest_lines(client: FlaskClient, log: Path) -> None:
    log.write_text(CONTENT + "".join(f"chunk {chr(97 + number % 26)}\n" for number in range(400)))
    page = client.get("/jobs/job-1").text
    assert lines(page)[0] == "RuntimeError: no memory" and len(lines(page)) == 301
    assert "… lines without errors are not shown" in page


@on_sqlite
def test_a_log_is_folded_and_searched_over_rest(client: FlaskClient, log: Path) -> None:
    def read(query: str) -> list[str]:
        return client.get(f"/api/jobs/job-1/log?{query}").text.splitlines()

    assert read("fold=true") == ["Loading <b>", "step 3/9  ×3", "! RuntimeError: no memory", "step 4/9"]
    assert read("fold=true&tail=2") == ["! RuntimeError: no memory", "step 4/9"]
    assert read("fold=true&q=step") == ["step 4/9  ×4"]
    assert read("q=STEP&tail=3") == ["step 2/9", "step 3/9", "step 4/9"]
    assert read("fold=false&q=+") == read("") == CONTENT.splitlines()


@on_sqlite
@pytest.mark.parametrize(("query", "field"), [("fold=yes", "fold"), ("q=" + "x" * 1001, "q"), ("q=a&q=b", "q")])
def test_a_wrong_query_is_named(client: FlaskClient, log: Path, query: str, field: str) -> None:
    answer = client.get(f"/api/jobs/job-1/log?{query}")
    assert answer.status_code == 400 and answer.json["errors"][0]["field"] == field
