"""The list of tracks and the page of one track, as they are without JavaScript."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from models import Job, Track
from repos import JobRepository, LoopRepository, TrackRepository
from tests.conftest import on_sqlite

HOSTILE = ["<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "javascript:alert(1)", "{{ 7 * 7 }}", "x" * 200]


def make(
    job_id: str, takes: int = 1, made: int | None = None, job: dict[str, Any] | None = None, **fields: Any
) -> None:
    """A completed job with tracks that have a sound."""
    JobRepository().create(**{"job_id": job_id, "prompt": f"song {job_id}", "takes": takes, **(job or {})})
    for take in range(1, (takes if made is None else made) + 1):
        track = {"track_id": f"{job_id}-{take}", "take": take, "file_path_wav": "a.wav", "duration": 60.0, **fields}
        TrackRepository().create(job_id=job_id, **track)


def rows(page: str) -> list[str]:
    """The ids of the jobs in a list, in order."""
    return re.findall(r'<li class="row lib-row" id="job-([^"]+)"', page)


def row(page: str, job_id: str) -> str:
    """The row of a job."""
    match = re.search(rf'<li class="row lib-row" id="job-{job_id}".*?</li>', page, re.DOTALL)
    assert match
    return match[0]


def chips(page: str) -> dict[str, str]:
    """The links that narrow the list, by their words."""
    found = re.findall(
        r'<a class="chip" href="([^"]*)"[^>]*>(?:<svg.*?</svg>)?([^<]*?)\s*(?:<span class="count">([^<]*)</span>)?</a>',
        page,
    )
    return {f"{name} {count}".strip(): unescape(url) for url, name, count in found}


def test_the_takes_of_a_job_share_a_row(client: FlaskClient) -> None:
    make("old")
    make("new", takes=4, made=3)
    Track.update(starred=True).where(Track.track_id == "new-2").execute()
    page = client.get("/tracks").text
    assert rows(page) == ["new", "old"]
    links = re.findall(r'<a class="take" data-play data-sound="track:([^"]+)".*?data-star="(\w+)"', row(page, "new"))
    assert links == [("new-1", "false"), ("new-2", "true"), ("new-3", "false")]
    assert '<span class="take coming" title="Still to come">4</span>' in row(page, "new")
    assert 'data-sound="track:new-2"' in row(page, "new").partition(">")[0]  # the row plays the take with a star
    assert 'class="take"' not in row(page, "old") and 'href="/tracks/old-1"' in row(page, "old")


def test_takes_to_come_are_not_shown_when_the_job_has_ended(client: FlaskClient) -> None:
    make("a", takes=4, made=2)
    JobRepository().update("a", status="cancelled")
    assert "coming" not in row(client.get("/tracks").text, "a")


def test_takes_that_were_deleted_are_not_to_come(client: FlaskClient) -> None:
    make("a", takes=4, made=2)
    JobRepository().update("a", status="generating_audio")
    Job.update(discarded_takes=0b0100).where(Job.job_id == "a").execute()
    assert re.findall(r'class="take coming"[^>]*>(\d)', row(client.get("/tracks").text, "a")) == ["4"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [("", "a-1 a-2 a-3"), ("starred=true", "a-2"), ("seed=7", "a-3"), ("q=night", "a-1"), ("q=song", "a-1 a-2 a-3")],
)
def test_what_one_does_with_a_row_concerns_only_the_tracks_that_match(
    client: FlaskClient, query: str, ids: str
) -> None:
    make("a", takes=3)
    for number, fields in ((1, {"title": "Night"}), (2, {"starred": True}), (3, {"seed": 7})):
        TrackRepository().update(f"a-{number}", **fields)
    box = re.search(r'name="id" value="([^"]*)" data-number="(\d)"', row(client.get(f"/tracks?{query}").text, "a"))
    assert box and (box[1], int(box[2])) == (ids, len(ids.split()))


def test_a_row_without_a_sound_cannot_be_played(client: FlaskClient) -> None:
    make("a", file_path_wav=None)
    shown = row(client.get("/tracks").text, "a")
    assert "data-play" not in shown and "data-sound" not in shown and "waveform" not in shown


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=tide", ["folk"]), ("starred=true", ["folk"]), ("genre=ambient", ["rain"]), ("job_type=synth", ["rain"]),
        ("seed=7", ["rain"]), ("job_id=folk", ["folk"]), ("q=tide&job_type=synth", []),
        ("q=&genre=+", ["rain", "folk"]),
        ("sort=duration", ["folk", "rain"]), ("sort=-duration", ["rain", "folk"]), ("sort=title", ["folk", "rain"]),
        ("sort=created_at", ["folk", "rain"]),
    ],
)  # fmt: skip
def test_the_list_is_narrowed_and_sorted_by_its_query(client: FlaskClient, query: str, expected: list[str]) -> None:
    make("folk", title="Low tide", starred=True, job={"metadata": {"genre": "Folk"}})
    make("rain", title="Rain", seed=7, duration=90.0, job={"metadata": {"genre": "Ambient"}, "job_type": "synth"})
    assert rows(client.get(f"/tracks?{query}").text) == expected


def test_the_row_of_a_search_stands_for_the_track_that_matches(client: FlaskClient) -> None:
    make("a", takes=3)
    Track.update(title="Low tide").where(Track.track_id == "a-3").execute()
    shown = row(client.get("/tracks?q=tide").text, "a")
    assert 'data-sound="track:a-3"' in shown.partition(">")[0] and ">Low tide</a>" in shown


def test_chips_narrow_the_list_further_and_undo_it(client: FlaskClient) -> None:
    make("a", job={"metadata": {"genre": "Folk"}}, starred=True)
    links = chips(client.get("/tracks?q=song&genre=Folk&sort=title").text)
    assert links["All 1"] == "/tracks?sort=title"
    assert links["Starred 1"] == "/tracks?q=song&genre=Folk&sort=title&starred=true"
    assert links["Folk"] == "/tracks?q=song&sort=title"
    assert links["diffrhythm"] == "/tracks?q=song&genre=Folk&sort=title&job_type=diffrhythm"
    assert "genre 7" not in links and chips(client.get("/tracks?seed=7").text)["seed 7"] == "/tracks"


@pytest.mark.parametrize("sort", ["", "sort=title", "sort=-duration", "sort=duration&starred=false"])
def test_every_page_of_the_list_is_reached_by_its_links(client: FlaskClient, sort: str) -> None:
    for number in range(120):
        make(f"j{number:03}", title=f"t {number * 7 % 120:03}", duration=1.0 + number * 11 % 120)
    url, seen = f"/tracks?{sort}", []
    while url:
        page = client.get(url).text
        seen += rows(page)
        link = re.search(r'rel="next" href="([^"]+)"', page)
        url = unescape(link[1]) if link else ""
    assert len(seen) == len(set(seen)) == 120


def test_a_page_of_the_list_needs_the_same_statements_for_any_number_of_rows(
    client: FlaskClient, statements: list[str]
) -> None:
    counted = []
    for numbers in (range(2), range(2, 60)):
        for number in numbers:
            make(f"{number}", takes=3, starred=number % 2 == 0)
        for path in ("/tracks", "/"):
            client.get(path)
            statements.clear()
            client.get(path)
            counted.append(len(statements))
    assert counted[:2] == counted[2:] and max(counted) <= 12


@on_sqlite
@pytest.mark.parametrize(
    ("query", "field"),
    [("seed=x", "seed"), ("starred=yes", "starred"), ("sort=priority", "sort"), ("cursor=x", "cursor"),
     ("job_type=ü", "job_type"), ("job_id=..", "job_id"), (f"q={'x' * 1001}", "q")],
)  # fmt: skip
def test_a_query_that_cannot_be_used_is_a_page_that_names_the_field(
    client: FlaskClient, query: str, field: str
) -> None:
    answer = client.get(f"/tracks?{query}")
    assert (answer.status_code, answer.mimetype) == (400, "text/html") and f"{field} " in answer.text


@on_sqlite
@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_text(client: FlaskClient, text: str) -> None:
    metadata = {"genre": text, "mood": text, "artist": text, text[:60]: text}
    make("a", takes=2, title=text, metadata=metadata, job={"prompt": text, "metadata": metadata})
    for path in ("/tracks", "/tracks/a-1", "/", f"/tracks?genre={text[:90]}"):
        page = client.get(path).text
        assert "<img src=x" not in page and "<svg onload" not in page and 'href="javascript:' not in page
        assert " 49 " not in page and text[:90] in unescape(page)


@on_sqlite
@pytest.mark.parametrize(("path", "words"), [("/tracks", "No tracks yet"), ("/tracks?q=zither", "No track matches")])
def test_an_empty_list_says_why(client: FlaskClient, path: str, words: str) -> None:
    assert words in client.get(path).text


def test_the_page_of_a_track_shows_what_it_is(client: FlaskClient) -> None:
    make(
        "a", takes=4, made=2, title="Low tide", seed=71042, metadata={"artist": "Ada"}, provenance={"generator": "yue"}
    )
    LoopRepository().create(loop_id="l", track_id="a-2", duration=30)
    page = client.get("/tracks/a-2").text
    assert 'dir="auto">Low tide</h1>' in page and "<dd>2 of 4</dd>" in page
    assert '<a href="/tracks?seed=71042">71042</a>' in page and 'href="/jobs/a"' in page
    assert 'id="loop-l"' in page and "How Low tide was made" in page and "Ada" in page
    assert 'href="/api/tracks/a-2/download?format=flac" download' in page and "/tracks/a-2/delete" in page


def test_the_list_of_all_starred_tracks_has_them_as_one_archive(client: FlaskClient) -> None:
    make("a", takes=1, made=1)
    link = 'href="/api/tracks.zip?starred=true" download'
    assert link not in client.get("/tracks?starred=true").text
    TrackRepository().star_all(["a-1"], True)
    assert (
        link in client.get("/tracks?starred=true").text and link in client.get("/tracks?starred=true&sort=title").text
    )
    assert link not in client.get("/tracks").text and link not in client.get("/tracks?starred=true&q=x").text


def test_the_page_of_a_track_that_is_gone_says_so(client: FlaskClient) -> None:
    assert client.get("/tracks/none").status_code == 404


def test_a_star_is_given_by_a_form_and_leads_back(client: FlaskClient, track: Track) -> None:
    back = {"Referer": "http://localhost/tracks?q=rain"}
    answer = client.post("/tracks/track-1/star", data={"starred": "true"}, headers=back)
    assert (answer.status_code, answer.location) == (303, "/tracks?q=rain#job-job-1")
    assert TrackRepository().get_by_id("track-1").starred is True  # type: ignore[union-attr]
    answer = client.post("/tracks/track-1/star", data={"starred": "false"}, headers={"Referer": "http://evil.test/x"})
    assert answer.location == "/tracks/track-1"
    assert TrackRepository().get_by_id("track-1").starred is False  # type: ignore[union-attr]
    assert client.post("/tracks/none/star", data={"starred": "true"}).status_code == 404


@pytest.mark.parametrize(
    ("referer", "location"),
    [("http://localhost//evil.example/x", "/#job-job-1"), ("http://[", "/tracks/track-1"), ("", "/tracks/track-1"),
     ("http://localhost/jobs/job-1?log=a#x", "/jobs/job-1?log=a"), ("http://localhost/", "/#job-job-1")],
)  # fmt: skip
def test_a_star_leads_only_to_pages_of_this_service(
    client: FlaskClient, track: Track, referer: str, location: str
) -> None:
    answer = client.post("/tracks/track-1/star", data={"starred": "true"}, headers={"Referer": referer})
    assert (answer.status_code, answer.location) == (303, location)


def test_a_title_is_given_and_taken_away_by_a_form(client: FlaskClient, track: Track) -> None:
    for typed, title in ((" Night train ", "Night train"), ("", None)):
        answer = client.post("/tracks/track-1/title", data={"title": typed})
        assert (answer.status_code, answer.location) == (303, "/tracks/track-1")
        assert TrackRepository().get_by_id("track-1").title == title  # type: ignore[union-attr]


def test_a_title_that_is_refused_is_shown_with_the_reason(client: FlaskClient, track: Track) -> None:
    answer = client.post("/tracks/track-1/title", data={"title": "x" * 201})
    assert answer.status_code == 422 and f'value="{"x" * 201}"' in answer.text
    assert "200 characters" in answer.text and 'aria-invalid="true"' in answer.text


def test_the_list_of_jobs_plays_the_first_track_of_each_job_that_has_a_sound(client: FlaskClient) -> None:
    make("a", takes=3)
    Track.update(file_path_wav=None).where(Track.track_id == "a-1").execute()
    make("b", file_path_wav=None)
    page = client.get("/").text
    assert re.findall(r'data-sound="track:([^"]+)"', page) == ["a-2"]
    assert page.count("data-play") == 1 and page.count("waveform.svg") == 2  # data-wave and the picture
