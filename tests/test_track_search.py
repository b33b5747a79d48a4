"""Lists of tracks over REST and in scripts: their filters, cursors and names, and what keeps the index complete."""

import re
import sqlite3
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from database import database, init_database, is_postgresql, letters
from database.letters import fold
from maintenance.checks import database as checks
from models import ID_LENGTH, Job, Track
from records import finding
from records.finding import TrackQuery
from records.indexing import index_batch, jobs_behind
from records.library import MOST_TRACKS, Library
from records.track_search import TrackSearch
from repos import JobRepository, Page, TrackRepository
from settings import Settings
from tests.conftest import on_postgresql, on_sqlite
from tests.migrations import drop_library
from web.pages import tracks as pages_of_tracks
from web.titles import name_of

jobs, tracks = JobRepository(), TrackRepository()
pytestmark = pytest.mark.usefixtures("ledger")


def ids(text: str | None = None, **wanted: Any) -> list[str]:
    """The ids of the tracks that a query describes, sorted."""
    return sorted(track.track_id for track in TrackSearch(TrackQuery(text, **wanted)).page(Page()))


def index() -> None:
    """Index everything, as housekeeping does on SQLite."""
    while not is_postgresql() and jobs_behind():
        index_batch()


def listed(client: FlaskClient, query: str) -> list[str]:
    """The ids of all pages of a list."""
    url, found = f"/api/tracks?{query}", []
    while url:
        body = client.get(url).get_json()
        read = [item["track_id"] for item in body["items"]]
        assert not {*read} & {*found}  # a walk that does not end would hang
        found += read
        url = body["next"]
    return found


@pytest.fixture
def songs(job: Job) -> None:
    """Four tracks of two jobs."""
    jobs.create(
        job_id="job-2", prompt="thunder", job_type="synth", metadata={"lyrics": "Sing of the Café", "genre": "Dub"}
    )
    tracks.create(track_id="a", job_id="job-1", title="Night train", starred=True, duration=40, seed=7)
    tracks.create(track_id="b", job_id="job-1", metadata={"track_name": "émile", "artist": "Ada"}, duration=30, seed=8)
    tracks.create(track_id="c", job_id="job-2", metadata={"title": "Zoo", "genre": "Noise"})
    tracks.create(track_id="d", job_id="job-2", metadata={"track_name": 5, "title": " "}, starred=True, duration=20)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=night+rain", ["a"]),
        ("q=emile+ada", ["b"]),
        ("q=cafe+thunder", ["c", "d"]),
        ("q=night+thunder", []),
        ("genre=dub", ["d"]),
        ("genre=NOISE", ["c"]),
        ("genre=", ["a", "b", "c", "d"]),
        ("job_type=synth&starred=true", ["d"]),
        ("starred=false", ["b", "c"]),
        ("seed=7", ["a"]),
        ("job_id=job-2&q=zoo", ["c"]),
        ("metadata.artist=Ada&q=rain", ["b"]),
        ("sort=duration", ["c", "d", "b", "a"]),
        ("sort=-duration", ["a", "b", "d", "c"]),
        ("sort=title", ["a", "c", "b", "d"]),
        ("sort=-title", ["d", "b", "c", "a"]),
        ("sort=title&starred=true", ["a", "d"]),
    ],
)
def test_a_list_has_the_tracks_of_its_query(client: FlaskClient, songs: None, query: str, expected: list[str]) -> None:
    for _ in range(2):
        for limit in (1, 50):
            read = listed(client, f"{query}&limit={limit}")
            assert (read if "sort" in query else sorted(read)) == expected
        assert client.get(f"/api/tracks?{query}&count=true").get_json()["total"] == len(expected)
        index()


@pytest.mark.parametrize(
    "query",
    ["starred=1", "seed=-1", "seed=x", "sort=name", "q=" + "a" * 1001, "genre=" + "a" * 101, "q=a&q=b"],
)
def test_a_wrong_parameter_is_named(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/tracks?{query}")
    assert answer.status_code in (400, 422) and answer.get_json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("sort", ["title", "duration", "-updated_at"])
@pytest.mark.parametrize(
    "value", ['"x"', "3", "1e400", "NaN", "-1", '"\\ud800"', '"\\u0000"', '"/w=="', '"AGE="', "null", "[]", "true"]
)
def test_no_cursor_is_answered_with_an_error_of_the_service(client: FlaskClient, sort: str, value: str) -> None:
    import base64

    cursor = base64.urlsafe_b64encode(f'["{sort}", {value}, "id"]'.encode()).decode()
    assert client.get("/api/tracks", query_string={"sort": sort, "cursor": cursor}).status_code in (200, 400, 422)


@pytest.mark.parametrize("letter", ["🎧", "谣", "\\", "\x01"])
@pytest.mark.parametrize("sort", ["title", "-title"])
def test_a_list_of_the_longest_names_goes_on(client: FlaskClient, job: Job, letter: str, sort: str) -> None:
    for number in range(3):
        tracks.create(track_id=str(number) * ID_LENGTH, job_id="job-1", metadata={"title": letter * 250})
    assert len(set(listed(client, f"sort={sort}&limit=1"))) == 3


def shown(client: FlaskClient, query: str) -> list[str]:
    """The ids of the tracks of all pages that a browser shows; a page has one row."""
    url, ids = f"/tracks?{query}", []
    while url:
        page = client.get(url).text
        [track_id] = re.findall(r'name="id" value="(t\d+)"', page)
        assert track_id not in ids
        ids.append(track_id)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        url = unescape(following[1]) if following else ""
    return ids


@pytest.fixture
def hostile(job: Job) -> list[str]:
    """The ids of tracks whose names the database stores, although Python may not decode them."""
    names = [r'"\ufffd"', r'"\u0001 b"', r'"\u001f"', '"A\U0010ffffa"', r'"\uffff"', r'"e\u0301"', '"é"', '" "']
    if not is_postgresql():
        odd = [r'"\ud800"', r'"\udfff\ud800"', r'"\ud83c"', r'"a\u0000b"', r'"a\u0000a"', r'"\u0000"', r'"\ud800é"']
        names += [*odd, "CAST(x'22c3ff22' AS TEXT)", "CAST(x'22ff22' AS TEXT)"]
    for number, name in enumerate(names):
        tracks.create(track_id=f"t{number}", job_id=jobs.create().job_id)
        text, kind = name if name.startswith("CAST") else f"'{name}'", "JSONB" if is_postgresql() else "TEXT"
        metadata = f"""CAST('{{"title":' || {text} || '}}' AS {kind})"""
        database.execute_sql(f"UPDATE track SET metadata = {metadata} WHERE track_id = 't{number}'")
    return [f"t{number}" for number in range(len(names))]


@pytest.mark.parametrize("way", ["", "-"])
@pytest.mark.parametrize("walked", [1, 3000])
def test_a_list_of_hostile_names_has_each_track_once(
    client: FlaskClient, hostile: list[str], monkeypatch: pytest.MonkeyPatch, way: str, walked: int
) -> None:
    monkeypatch.setattr(finding, "WALKED", walked)
    monkeypatch.setattr(finding, "FEW", 0)
    monkeypatch.setattr(pages_of_tracks, "ROWS", 1)
    items = client.get(f"/api/tracks?sort={way}title&limit=200").get_json()["items"]
    whole = [item["track_id"] for item in items]
    assert sorted(whole) == sorted(hostile)
    for query in ("", "&starred=false"):
        assert listed(client, f"sort={way}title&limit=1{query}") == whole
        assert shown(client, f"sort={way}title{query}") == whole


def test_a_cursor_survives_the_deletion_of_its_track_and_new_titles(client: FlaskClient, songs: None) -> None:
    first = client.get("/api/tracks?sort=title&limit=2").get_json()
    tracks.delete("c")
    tracks.update("a", title="Älter")
    following = client.get(first["next"]).get_json()
    assert [item["track_id"] for item in following["items"]] == ["a", "b"]


def test_a_group_shows_few_tracks_and_always_its_lead(job: Job) -> None:
    for number in range(40):
        tracks.create(track_id=f"t{number:02}", job_id="job-1", duration=number + 1, starred=number == 38)
    [group] = Library(TrackQuery(starred=True)).groups(Page("duration"))
    assert (group.lead.track_id, len(group.tracks), group.lead in group.tracks) == ("t38", MOST_TRACKS, True)
    assert Library(TrackQuery()).count_starred() == 1 and Library(TrackQuery(text="…")).groups(Page()) == []


def test_a_page_of_groups_needs_few_statements(songs: None) -> None:
    index()
    for query in (TrackQuery(), TrackQuery(text="rain"), TrackQuery(seed=7), TrackQuery(job_id="job-1", genre="x")):
        seen: list[Any] = []
        database.query_hooks.append(seen.append)
        Library(query).groups(Page())
        database.query_hooks.remove(seen.append)
        assert len(seen) <= 5


def test_genres_of_several_spellings_are_one(job: Job) -> None:
    for genre in ("Dub", "dub", "Dub", "Noise", "", 5, None):
        tracks.create(job_id="job-1", metadata={"genre": genre})
    assert Library(TrackQuery()).genres() == ["Ambient", "Dub", "Noise"]
    assert Library(TrackQuery()).genres(1) == ["Ambient"]


def test_a_moved_track_is_found_by_the_words_of_its_new_job(songs: None) -> None:
    index()
    tracks.update("a", job_id="job-2")
    for _ in range(2):
        assert (ids("night thunder"), ids("night rain")) == (["a"], [])
        index()


def test_a_job_without_tracks_needs_no_index(job: Job) -> None:
    index()
    if not is_postgresql():
        jobs.update("job-1", prompt="thunder")
    entries = "library_job" if is_postgresql() else "library_search"
    assert database.execute_sql(f"SELECT count(*) FROM {entries}").fetchone()[0] == 0
    assert is_postgresql() or not database.execute_sql("SELECT 1 FROM library_stale").fetchone()


def test_tracks_of_an_older_database_are_found(ledger: Settings, songs: None) -> None:
    drop_library()
    assert init_database(ledger) == ["0009_library_index"]
    for _ in range(2):
        assert (ids("rain"), ids("night"), ids(genre="dub")) == (["a", "b"], ["a"], ["d"])
        index()
    assert list(checks.incomplete_search(None)) == [] and not list(checks.wrong_object(None))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("keys", [0, 1])
@pytest.mark.parametrize("recursive", [0, 1])
def test_rows_that_a_shell_replaces_are_found(ledger: Settings, songs: None, keys: int, recursive: int) -> None:
    index()
    database.close()
    with sqlite3.connect(ledger.sqlite_path) as shell:
        shell.execute(f"PRAGMA foreign_keys = {keys}")
        shell.execute(f"PRAGMA recursive_triggers = {recursive}")
        shell.execute("INSERT OR REPLACE INTO job (job_id, prompt) VALUES ('job-1', 'snow')")
        shell.execute("INSERT OR REPLACE INTO track (track_id, job_id, title) VALUES ('c', 'job-2', 'Owl')")
    shell.close()
    kept = [track.track_id for track in Track.select().where(Track.job == "job-1").order_by(Track.track_id)]
    for _ in range(2):
        assert (ids("snow"), ids("rain"), ids("owl"), ids("zoo")) == (kept, [], ["c"], [])
        index()
    assert list(checks.incomplete_search(None)) == []  # type: ignore[arg-type]


def test_a_check_completes_the_index(songs: None) -> None:
    index()
    if is_postgresql():
        database.execute_sql("DELETE FROM library_track WHERE track_id = 'a'")
        database.execute_sql("UPDATE library_job SET words = '' WHERE job_id = 'job-1'")
    else:
        database.execute_sql("DELETE FROM library_search WHERE rowid = (SELECT rowid FROM job WHERE job_id = 'job-1')")
        database.execute_sql("INSERT INTO library_search (rowid, own) VALUES (99, 'x')")
    assert len(list(checks.incomplete_search(None))) == 2  # type: ignore[arg-type]
    checks.complete_search()
    assert list(checks.incomplete_search(None)) == [] and ids("rain") == ["a", "b"]  # type: ignore[arg-type]


@pytest.fixture
def long_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three jobs with long lyrics and twenty tracks each. Returns the long texts that SQLite reads, in their order."""
    read: list[str] = []
    letters._phrases_in_once.cache_clear()
    monkeypatch.setattr(letters, "fold", lambda text: read.extend([text] * (len(text) > 1000)) or fold(text))
    for number in range(3):
        jobs.create(job_id=f"j{number}", prompt=f"rain {number}", metadata={"lyrics": f"{number} la " * 1000})
        for take in range(20):
            tracks.create(job_id=f"j{number}", title=f"Owl {number}" if take % 2 else None)
    return read


@on_sqlite
@pytest.mark.parametrize("query", ["rain", "rain la", "owl", "rain owl", "snow"])
def test_a_search_reads_the_lyrics_of_a_job_once_if_it_is_not_in_the_index(long_texts: list[str], query: str) -> None:
    search, found = Library(TrackQuery(query)), TrackSearch(TrackQuery(query))
    groups = search.groups(Page("title"))
    assert len(search.matching(groups)) == found.count() == {"rain": 60, "rain la": 60, "snow": 0}.get(query, 30)
    assert len(long_texts) == 3


@on_sqlite
def test_a_count_by_words_reads_no_lyrics(long_texts: list[str]) -> None:
    index()
    long_texts.clear()
    for query, number in (("rain", 60), ("rain la", 60), ("owl", 30), ("snow", 0), ("owl 2 rain", 10)):
        assert TrackSearch(TrackQuery(query)).count() == number
    assert len(long_texts) == 1  # of the job that has some of the words, as some of its tracks have the others


@on_postgresql
def test_a_change_of_a_job_with_many_tracks_writes_one_row_of_the_index(job: Job) -> None:
    for number in range(40):
        tracks.create(job_id="job-1", title=f"Owl {number}")
    written = (
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables WHERE relname LIKE 'library%%'"
    )
    with database.atomic():
        before = database.execute_sql(written).fetchone()[0]
        jobs.update("job-1", prompt="thunder", metadata={"lyrics": "snow", "genre": "Dub"})
        assert database.execute_sql(written).fetchone()[0] == before + 1
    assert len(ids("thunder snow owl", genre="dub")) == 40 and ids("rain") == []


@on_sqlite
def test_text_that_is_not_utf_8_is_searched(songs: None) -> None:
    database.execute_sql("UPDATE track SET title = CAST(x'4f776cff' AS TEXT) WHERE track_id = 'a'")
    for _ in range(2):
        assert ids("owl") == ["a"] and [item.track_id for item in TrackSearch(TrackQuery()).page(Page("title"))]
        index()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"title": "Own", "metadata": {"track_name": "x"}}, "Own"),
        ({"metadata": {"track_name": "Name", "title": "x"}}, "Name"),
        ({"metadata": {"track_name": " ", "title": "Title"}}, "Title"),
        ({"metadata": {"track_name": 5}}, "ambient rain, soft piano"),
    ],
)
def test_the_name_of_a_track(job: Job, fields: dict[str, Any], name: str) -> None:
    track = tracks.create(job_id="job-1", **fields)
    assert name_of(track, jobs.get_by_id("job-1")) == name and name_of(track, None) in (name, "job-1")
