"""The page of a job: its lyrics as they were sent, and a job that has no prompt."""

from html import unescape

import pytest
from flask.testing import FlaskClient

from repos import JobRepository
from tests.conftest import SAMPLES, on_sqlite

HOSTILE = "</pre><script>alert(1)</script>\n[00:12]אבג & <b>\n\n  indented\n"


def page(client: FlaskClient, **fields: object) -> str:
    """The page of a new job."""
    job = JobRepository().create(**{"job_id": "job-1", "prompt": "folk", **fields})
    return client.get(f"/jobs/{job.job_id}").text


@on_sqlite
@pytest.mark.parametrize("lyrics", [HOSTILE, (SAMPLES / "night_train.lrc").read_text(), "la\n" * 5000])
def test_the_page_of_a_job_shows_the_lyrics_as_they_were_sent(client: FlaskClient, lyrics: str) -> None:
    shown = page(client, metadata={"lyrics": lyrics})
    opening = '<pre class="lyrics" tabindex="0" dir="auto">\n'  # a browser drops this line break
    block = shown.partition(opening)[2].partition("</pre>")[0]
    assert unescape(block) == lyrics and "<script>alert" not in shown


@on_sqlite
def test_long_lyrics_are_folded_and_short_ones_are_open(client: FlaskClient) -> None:
    assert "<summary>1 line, as sent</summary>" in page(client, job_id="a", metadata={"lyrics": "la\n\n"})
    assert '<details class="fold" open>' in client.get("/jobs/a").text
    long = page(client, job_id="b", metadata={"lyrics": "la\n" * 41})
    assert "<summary>41 lines, as sent</summary>" in long and '<details class="fold" open>' not in long


@on_sqlite
def test_lyrics_that_are_not_text_are_shown_with_the_other_metadata(client: FlaskClient) -> None:
    shown = page(client, metadata={"lyrics": ["la", 1]})
    assert '["la", 1]' in unescape(shown) and "lyrics-title" not in shown


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_a_job_without_a_prompt_is_shown_by_its_id(client: FlaskClient, prompt: str) -> None:
    shown = page(client, prompt=prompt)
    assert '<h1 dir="auto">job-1</h1>' in shown and "This job has no prompt." in shown
    assert 'dir="auto">job-1</a>' in client.get("/").text
    assert "job-1</blockquote>" in client.get("/jobs/job-1/delete").text
