"""The page "Queue many", as it is without JavaScript: the table of a file, and the button that queues it."""

import base64
import re
import zlib
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from errors import TooLarge
from models import Job
from repos import JobRepository, Page
from tests.conftest import on_sqlite
from web.pages.many import unpacked
from web.reading import BATCH_BYTES

CSV = "prompt,job_type,takes,metadata.duration,metadata.lyrics\n"
FIELD = re.compile(r'<(?:input|button)[^>]* name="(name|lines|shown)" value="([^"]*)"')


def choose(client: FlaskClient, raw: bytes | str, name: str = "songs.csv", **entries: str) -> Any:
    """Send the form with a file."""
    content = raw if isinstance(raw, bytes) else raw.encode()
    form = {**entries, "file": (BytesIO(content), name)}
    return client.post("/jobs/many", data=form, content_type="multipart/form-data")


def press(client: FlaskClient, answer: Any, **changes: str) -> Any:
    """Press the button of a table that queues its jobs."""
    form = {**dict(FIELD.findall(answer.text)), **changes}
    return client.post("/jobs/many", data=form, content_type="multipart/form-data")


def rows(answer: Any) -> list[str]:
    """The words of each row of the table."""
    body = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in body.split("</tr>")[:-1]]


def song(number: int) -> str:
    """A line of a CSV file."""
    return f"song {number},synth,2,20,\n"


def test_a_file_is_shown_first_and_queued_by_the_button(client: FlaskClient) -> None:
    shown = choose(client, CSV + "".join(map(song, range(500))))
    assert shown.status_code == 200 and "Queue 500 jobs" in shown.text and Job.select().count() == 0
    assert len(rows(shown)) == 50 and rows(shown)[0] == "2 song 0 synth 2 takes duration 20"
    assert "the first 50 of 500" in shown.text and "450 more jobs are right." in shown.text
    queued = press(client, shown, job_type="synth")
    assert (queued.status_code, queued.location) == (303, "/?show=waiting")
    listed = JobRepository().page(Page(limit=500, descending=False))
    assert [job.prompt for job in listed] == [f"song {number}" for number in range(500)]


def test_wrong_lines_are_marked_and_nothing_can_be_queued(client: FlaskClient, job: Job) -> None:
    jobs = [*map(song, range(60)), "song,synth,many,20,\n", ",synth,1,20,\n", "song,synth,1,-5,\n"]
    shown = choose(client, CSV + "".join(jobs))
    assert shown.status_code == 422 and "3 lines are wrong" in shown.text and 'name="shown"' not in shown.text
    wrong = [row for row in rows(shown) if "Wrong:" in row]
    assert wrong == rows(shown)[:3] and len(rows(shown)) == 53
    assert wrong[0] == "62 Wrong: takes input should be a valid integer" and wrong[1].startswith("63 Wrong: prompt")
    assert press(client, shown, shown="guess").status_code == 422 and Job.select().count() == 1


def test_a_taken_id_is_marked_before_and_while_the_file_is_queued(client: FlaskClient, job: Job) -> None:
    shown = choose(client, "prompt,job_id\na,one\nb,job-1\n", job_type="synth")
    assert shown.status_code == 422 and rows(shown)[0].startswith("3 Wrong: job job-1 exists already")
    fine = choose(client, "prompt,job_id\na,one\n", job_type="synth")
    JobRepository().create(job_id="one", prompt="another")
    late = press(client, fine, job_type="synth")
    assert late.status_code == 422 and rows(late) == ["2 Wrong: job one exists already, made from another request"]
    assert Job.select().count() == 2


def test_a_button_that_is_pressed_twice_queues_its_jobs_once(client: FlaskClient) -> None:
    shown = choose(client, "rain\nsnow\n", "prompts.txt", job_type="synth")
    for _ in range(2):
        assert press(client, shown, job_type="synth").status_code == 303
    assert sorted(job.prompt for job in Job.select()) == ["rain", "snow"]
    press(client, choose(client, "rain\nsnow\n", "prompts.txt", job_type="synth"), job_type="synth")
    assert Job.select().count() == 4


def test_a_file_with_ids_may_be_queued_twice(client: FlaskClient) -> None:
    for _ in range(2):
        shown = choose(client, "prompt,job_id\na,one\n", job_type="synth")
        assert press(client, shown, job_type="synth").status_code == 303
    assert Job.select().count() == 1


@on_sqlite
def test_what_was_not_shown_is_not_queued(client: FlaskClient) -> None:
    shown = choose(client, "rain\nsnow\n", "prompts.txt", job_type="synth")
    digest = dict(FIELD.findall(shown.text))["shown"].partition(" ")[0]
    assert press(client, shown, job_type="synth", shown=digest + " ../x").status_code == 200
    changed = press(client, shown, job_type="synth", takes="3")
    assert changed.status_code == 200 and rows(changed) == ["1 rain synth 3 takes", "2 snow synth 3 takes"]
    assert Job.select().count() == 0
    assert press(client, changed, job_type="synth", takes="3").status_code == 303
    assert [job.takes for job in Job.select()] == [3, 3]


@on_sqlite
def test_the_bytes_of_a_file_arrive_unchanged(client: FlaskClient) -> None:
    raw = '\ufeffprompt\r\n"two\nlines &amp; ""<b>"""\r\n"a\r\nb"\r\n'.encode()
    press(client, choose(client, raw, job_type="synth"), job_type="synth")
    assert [job.prompt for job in JobRepository().get_all()][::-1] == ['two\nlines &amp; "<b>"', "a\r\nb"]


@on_sqlite
def test_lyrics_need_a_prompt_which_can_be_filled_in_later(client: FlaskClient) -> None:
    shown = choose(client, "[00:01.00]The rain\n[00:03.00]falls\n", "rain.LRC", job_type="synth")
    assert rows(shown) == ["1 Wrong: prompt field required"]
    filled = press(client, shown, job_type="synth", prompt="slow folk")
    [row] = rows(filled)
    assert row.startswith("1 slow folk synth lyrics of 2 lines ") and "not sung" in row
    press(client, filled, job_type="synth", prompt="slow folk")
    assert Job.get().metadata == {"lyrics": "[00:01.00]The rain\n[00:03.00]falls"}


@on_sqlite
def test_a_long_file_has_a_short_page(client: FlaskClient) -> None:
    right = choose(client, "prompt\n" + "".join(f"song {number}\n" for number in range(10_000)))
    assert len(rows(right)) == 50 and len(right.data) < 100_000
    wrong = choose(client, "prompt,takes\n" + "a,many\n" * 1000)
    assert len(rows(wrong)) == 500 and "500 more lines are wrong." in wrong.text


@on_sqlite
@pytest.mark.parametrize(
    ("raw", "name", "words"),
    [
        (b"rain", "songs.ods", "songs.ods is not supported"),
        (b"", "", "Choose a file."),
        (b"", "songs.csv", "1 line is wrong"),
        (b"r\xe4in", "songs.txt", "is not UTF-8"),
        (b"prompt;takes\nrain;2", "songs.csv", "use commas"),
        (b"rain", "<b>.ods", "&lt;b&gt;.ods is not supported"),
        (b"promt\nrain", "songs.csv", "no field of a job"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_on_the_page(
    client: FlaskClient, raw: bytes, name: str, words: str
) -> None:
    answer = choose(client, raw, name, takes="2")
    assert answer.status_code == 422 and words in answer.text and 'value="2"' in answer.text
    assert 'name="shown"' not in answer.text and Job.select().count() == 0


@on_sqlite
def test_what_no_browser_sends_is_refused(client: FlaskClient) -> None:
    assert client.post("/jobs/many", data={"name": "a.txt"}).status_code == 415
    for lines, status in (("***", 400), ("AAAA", 400)):
        assert press(client, choose(client, "rain", "a.txt"), lines=lines).status_code == status
    large = client.post("/jobs/many", data=b" " * (BATCH_BYTES + 1), content_type="multipart/form-data; boundary=x")
    broken = client.post("/jobs/many", data=b"--y", content_type="multipart/form-data; boundary=x")
    assert (large.status_code, broken.status_code) == (413, 400)
    evil = client.post("/jobs/many", data={}, headers={"Origin": "http://evil.example"})
    assert evil.status_code == 403 and Job.select().count() == 0


def test_a_file_that_unpacks_to_too_much_is_refused() -> None:
    assert len(unpacked(base64.b64encode(zlib.compress(b" " * BATCH_BYTES)).decode())) == BATCH_BYTES
    with pytest.raises(TooLarge, match="8 MB"):
        unpacked(base64.b64encode(zlib.compress(b" " * (BATCH_BYTES + 1))).decode())


@on_sqlite
def test_the_page_is_linked_and_names_the_types(client: FlaskClient) -> None:
    assert 'href="/new/many"' in client.get("/").text and client.get("/new").text.count('href="/new/many"') == 2
    page = client.get("/new/many").text
    assert 'accept=".csv,.jsonl,.txt,.lrc"' in page and "<option>synth</option>" in page and " required" in page
