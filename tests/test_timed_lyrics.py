"""Lyrics that follow the sound: which lines have which times, whatever the records contain."""

from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from generators.dialects import write_lyrics
from generators.lyrics import read_lyrics
from generators.timed import MOST
from models import Job
from repos import JobRepository
from tests.conftest import SAMPLES, on_sqlite
from web.lyrics import timed_lyrics

LRC = "[ti:Rain]\n[00:12.50]one\n[00:10.00][01:02.00]twice\n[00:15]three"


def timed(sent: Any = None, **manifest: Any) -> list[tuple[float, str]]:
    """The timed lyrics of a job with these lyrics and this file_manifest."""
    metadata = {} if sent is None else {"lyrics": sent}
    return [tuple(line) for line in timed_lyrics(Job(metadata=metadata, file_manifest=manifest))]


def test_lyrics_with_times_are_in_the_order_of_their_times() -> None:
    assert timed(LRC) == [(10, "twice"), (12.5, "one"), (15, "three"), (62, "twice")]


@pytest.mark.parametrize(
    ("tag", "start"), [("+500", 9.5), ("-1500", 11.5), ("250", 9.75), ("+99999", 0), ("soon", 10), ("1e9", 10)]
)
def test_an_offset_moves_all_lines(tag: str, start: float) -> None:
    assert timed(f"[00:10]one\n[offset: {tag}]")[0] == (start, "one")


def test_the_generator_receives_the_times_with_their_offset() -> None:
    assert write_lyrics("[offset:+500]\n[00:10]one\ntwo", "lrc", 95, False)[0].startswith("[00:09.50]one\n")
    assert read_lyrics("[offset:+500]\none").lines[0].seconds is None


def test_lyrics_without_times_have_those_that_the_service_gave_them() -> None:
    received = write_lyrics("[verse]\none\ntwo\n\nthree", "lrc", 95, spare_last=True)[0]
    lines = timed("[verse]\none\ntwo\n\nthree", lyrics=received, seconds=95)
    assert [words for _, words in lines] == ["one", "two", "three"] and lines[0][0] == 10
    assert timed("one\ntwo") == timed("one", lyrics="[verse]\none", seconds=95) == []


def test_most_lines_with_times_are_enough() -> None:
    assert timed("[00:10]one\ntwo\n[00:20]three") == [(10, "one"), (15, "two"), (20, "three")]
    assert timed("[00:10]one\ntwo\nthree") == []


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, ["[00:10]x"], "", " ", "[00:10]", "[", "[99999:00]x", "[00:10]x\n" * 2000]
)
def test_values_that_are_no_timed_lyrics_have_none(value: Any) -> None:
    assert timed(value) == timed(None, lyrics=value, seconds=value) == []


@pytest.mark.parametrize("seconds", [None, "95", True, float("inf"), -1, 1e300])
def test_any_length_in_the_manifest_is_read(seconds: Any) -> None:
    assert len(timed(None, lyrics="[00:10]one\n[00:20]one", seconds=seconds)) in (1, 2)


@on_sqlite
def test_the_page_shows_the_times_and_the_text_as_it_was_sent(client: FlaskClient) -> None:
    text = (SAMPLES / "night_train.lrc").read_text()
    JobRepository().create(job_id="a", prompt="folk", metadata={"lyrics": text})
    page = unescape(client.get("/jobs/a").text)
    assert 'data-lyrics="a"' in page and page.count("<li data-time=") == len(timed(text)) > 10
    assert text in page and '<details class="fold">' in page and "#t=" not in page


@on_sqlite
def test_a_time_is_a_link_to_the_sound_at_this_moment(client: FlaskClient, job: Job) -> None:
    JobRepository().update("job-1", metadata={"lyrics": "[00:12.5]<b>one"})
    client.post("/api/jobs/job-1/tracks", json={"track_id": "t", "file_path_wav": "a.wav"})
    page = client.get("/jobs/job-1").text
    link = '<a href="/api/tracks/t/audio#t=12.50" data-native aria-label="Play from 0:12">0:12</a>'
    assert f'<li data-time="12.50">{link}<span dir="auto">&lt;b&gt;one</span></li>' in page


def test_lyrics_with_very_many_lines_are_not_followed() -> None:
    assert len(timed("[00:10]x\n" * MOST)) == MOST and timed("[00:10]x\n" * (MOST + 1)) == []
