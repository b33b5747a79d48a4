"""The methods for music players: a job is an album, its tracks are songs; a player reads all and changes only stars."""

import json
import select
from contextlib import closing
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import cysqlite
import pytest
from flask import Flask, request

from database import database
from models import Track
from repos import JobRepository, TrackRepository
from settings import Settings
from tests.conftest import on_sqlite, wait_for
from tests.fronts import get, serving_flask
from tests.players import (
    CHANGES,
    READS,
    UNKNOWN,
    Player,
    add,
    address,
    elements,
    listed,
    player,
    settings,
    signed,
)
from tests.service import ROOT
from web import limits
from web.subsonic import METHODS, catalogue, system
from web.subsonic.lists import LISTS

__all__ = ["player", "settings"]
TABLES = ("job", "track", "loop", "event", "discard", "worker", "queue_state")
CODES = {
    "getAlbumList2": 10,
    "getAlbumList2?type=best": 0,
    "getAlbumList2?type=byYear&fromYear=2020": 10,
    "getAlbumList2?type=byGenre": 10,
    "getAlbumList2?type=newest&size=many": 0,
    "getAlbumList2?type=newest&offset=-1": 0,
    "search3": 10,
    "getSong": 10,
    "getSong?id=none": 70,
    "getSong?id=job-1": 70,
    "getAlbum?id=track-1": 70,
    "getAlbum?id=empty": 70,
    "getMusicDirectory?id=none": 70,
    "getCoverArt?id=none": 70,
    "stream?id=none": 70,
    "download?id=track-1": 70,
    "stream?id=track-1&format=mp3": 70,
    "getUser": 10,
    "getUser?username=admin": 50,
}


def dump() -> dict[str, Any]:
    """All rows of the tables."""
    return {table: sorted(database.execute_sql(f"SELECT * FROM {table}").fetchall(), key=repr) for table in TABLES}


def test_a_job_is_an_album_and_its_takes_are_songs(player: Player, song: bytes) -> None:
    TrackRepository().update("track-1", take=1, metadata={"artist": "Ada"}, duration=1.0)
    album = player("getAlbum?id=job-1")["album"]
    assert album["name"] == "ambient rain, soft piano" and album["songCount"] == 1
    assert (album["artist"], album["genre"], album["duration"]) == ("Ada", "Ambient", 1)
    (only,) = album["song"]
    assert only == player("getSong?id=track-1")["song"]
    assert (only["id"], only["albumId"], only["artistId"], only["track"]) == ("track-1", "job-1", "artist~QWRh", 1)
    assert (only["suffix"], only["contentType"], only["size"]) == ("wav", "audio/wav", len(song))
    assert (only["bitRate"], only["isDir"], only["year"]) == (256, False, Track.get().created_at.year)


def test_takes_without_a_name_have_the_name_of_the_album_and_their_number(player: Player) -> None:
    add("a", takes=2)
    TrackRepository().update("a-2", title="Dawn  of\x01 rain")
    assert [song["title"] for song in player("getAlbum?id=a")["album"]["song"]] == [
        "song a (take 1)",
        "Dawn of\x01 rain",
    ]
    texts = [
        attributes["title"]
        for name, attributes in elements(player.get("getAlbum?id=a", f="xml").data)
        if name == "song"
    ]
    assert texts == ["song a (take 1)", "Dawn of\ufffd rain"]


def test_a_track_without_an_artist_is_by_its_generator(player: Player) -> None:
    (
        add("a"),
        add("b", metadata={"artist": "synth"}),
        add("c", metadata={"artist": "Ada"}),
        add("d", metadata={"artist": "♪"}),
    )
    index = player("getArtists")["artists"]["index"]
    assert [(entry["name"], [one["name"] for one in entry["artist"]]) for entry in index] == [
        ("#", ["♪"]), ("A", ["Ada"]), ("S", ["synth", "synth"]),
    ]  # fmt: skip
    ids = [one["id"] for entry in index for one in entry["artist"]]
    albums = {tuple(player.ids(f"getArtist?id={artist_id}")) for artist_id in ids}
    assert len(set(ids)) == 4 and albums == {("a",), ("b",), ("c",), ("d",)}
    assert player.ids(f"getMusicDirectory?id={ids[1]}") == ["c"] and player.ids("getMusicDirectory?id=c") == ["c-1"]


def test_an_artist_that_does_not_exist_is_not_found(player: Player) -> None:
    for artist_id in ("artist~", "artist~!!", "artist~_w", "artist~QQ", "generator~QQ", "job-1", "x~QWRh", ""):
        assert player.code(f"getArtist?id={artist_id}") == 70, artist_id


def test_genres_are_counted_whatever_their_spelling(player: Player) -> None:
    (
        add("a", takes=3, metadata={"genre": "Ambient"}),
        add("b", metadata={"genre": "ambient"}),
        add("c", metadata={"genre": "!"}),
    )
    assert player("getGenres")["genres"]["genre"] == [{"value": "Ambient", "songCount": 4, "albumCount": 2}]
    assert player.ids("getSongsByGenre?genre=AMBIENT&count=2&offset=3") == ["a-1"]
    assert sorted(player.ids("getAlbumList2?type=byGenre&genre=ambient")) == ["a", "b"]


def test_lists_of_albums(player: Player) -> None:
    for number, year in enumerate((2022, 2023, 2023, 2024)):
        add(f"j{number}", year=year, title=f"Title {9 - number}", starred=number == 1)
    assert player.ids("getAlbumList2?type=newest")[:1] == player.ids("getAlbumList2?type=recent&size=1") == ["j3"]
    assert player.ids("getAlbumList2?type=alphabeticalByName&size=2&offset=1") == ["j2", "j1"]
    assert player.ids("getAlbumList2?type=byYear&fromYear=2023&toYear=2024") == ["j1", "j2", "j3"]
    assert player.ids("getAlbumList2?type=byYear&fromYear=2023&toYear=2022") == ["j2", "j1", "j0"]
    assert player.ids("getAlbumList2?type=starred") == ["j1"] and player.ids("getStarred2") == ["j1-1"]
    assert sorted(player.ids("getAlbumList2?type=random")) == sorted(player.ids("getAlbumList?type=frequent"))
    assert player("getAlbumList2?type=byYear&fromYear=2030&toYear=2031")["albumList2"] == {"album": []}


def test_a_call_that_cannot_be_answered_gets_the_code_of_its_error(player: Player, track: Track) -> None:
    JobRepository().create(job_id="empty")
    assert {method: player.code(method) for method in CODES} == CODES


def test_an_empty_search_lists_everything_page_by_page_while_more_is_made(player: Player) -> None:
    for number in range(5):
        add(f"j{number}", takes=2)
    seen: list[str] = []
    for offset in range(0, 12, 3):
        seen += player.ids(f'search3?query=""&songCount=3&songOffset={offset}&albumCount=0')
        if offset == 3:
            add("k", year=2025)
    assert seen == [f"j{number}-{take}" for number in range(5) for take in (1, 2)] + ["k-1"]
    albums = [player(f"search3?query=&albumCount=2&albumOffset={at}&songCount=0")["searchResult3"] for at in (0, 2, 4)]
    assert [album["id"] for found in albums for album in found["album"]] == ["j0", "j1", "j2", "j3", "j4", "k"]


def test_the_next_page_of_a_list_begins_where_the_page_before_ended(player: Player, statements: list[str]) -> None:
    for number in range(4):
        add(f"j{number}")
    first, second = (f"getAlbumList2?type=newest&size=2&offset={offset}" for offset in (0, 2))
    assert player.ids(second) == ["j1", "j0"]
    before = len([sql for sql in statements if "<" in sql])
    assert player.ids(first) + player.ids(second) == ["j3", "j2", "j1", "j0"]
    assert len([sql for sql in statements if "<" in sql]) > before  # a comparison with the end of the first page
    add("new", year=2025)
    assert player.ids(second) == ["j1", "j0"] and player.ids(first) == ["new", "j3"]


def test_a_search_finds_artists_albums_and_songs(player: Player) -> None:
    add("a", takes=2, metadata={"artist": "Ada Rey"}), add("b")
    found = player("search3?query=ADA%20r")["searchResult3"]
    assert [len(found[kind]) for kind in ("artist", "album", "song")] == [1, 1, 2]
    assert found["artist"][0]["name"] == "Ada Rey"
    assert player("search2?query=nothing")["searchResult2"] == {"artist": [], "album": [], "song": []}


def test_only_songs_can_have_a_star_and_all_of_a_call_get_it_or_none(player: Player) -> None:
    add("a", takes=3)
    assert player("star?id=a-1&id=a-2&id=a-2")["status"] == "ok"
    assert sorted(player.ids("getStarred2")) == ["a-1", "a-2"] and "starred" in player("getSong?id=a-1")["song"]
    for method in (
        "unstar?id=a-1&albumId=a",
        "unstar?artistId=x",
        "unstar?id=a-1&id=a",
        "unstar?id=a-1&id=artist~QWRh",
    ):
        assert player.code(method) == 0
    assert player.code("unstar?id=a-1&id=none") == 70 and player.code("star") == 10
    assert player.code(f"star?{'&'.join(['id=a-3'] * 1001)}") == 0
    assert sorted(player.ids("getStarred2")) == ["a-1", "a-2"]
    assert player("unstar?id=a-1")["status"] == "ok" and player.ids("getStarred") == ["a-2"]


def test_nothing_but_stars_can_be_changed(player: Player, song: bytes) -> None:
    before = dump()
    for method in READS:
        assert player(method)["status"] in ("ok", "failed")
    assert [player.code(method) for method in CHANGES] == [50] * len(CHANGES)
    assert [player.code(method) for method in UNKNOWN] == [70] * len(UNKNOWN)
    assert dump() == before
    player("star?id=track-1"), player("unstar?id=track-1")
    after = dump()
    assert [table for table in TABLES if after[table] != before[table]] == ["track", "event"]
    pairs = zip(after["track"][0], before["track"][0], strict=True)
    assert len(after["track"]) == 1 and sum(new != old for new, old in pairs) == 1  # updated_at


def test_every_method_is_either_read_or_refused() -> None:
    assert {method.partition("?")[0] for method in CHANGES} == system.CHANGES
    rest = {"stream", "download", "getCoverArt", "star", "unstar", "getPlaylist"}
    assert {method.partition("?")[0] for method in READS} | rest == set(METHODS)


def test_every_method_that_answers_something_is_in_the_documents() -> None:
    text = (ROOT / "docs" / "phone.md").read_text()
    assert [name for name in METHODS.keys() - system.EMPTY.keys() - {"getPlaylist"} if f"`{name}`" not in text] == []


def test_an_answer_reads_no_row_for_each_song(player: Player, statements: list[str]) -> None:
    methods = (
        "getAlbumList2?type=newest&size=500",
        "search3?query=",
        "getAlbum?id=j0",
        "getRandomSongs?size=50",
        "getStarred2",
    )
    counts = []
    for more in range(2):
        for number in range(4):
            add(f"j{8 * more + number}", takes=3, starred=True)
        for method in methods:
            statements.clear()
            player(method)
            counts.append(len(statements))
    assert max(counts[len(methods) :]) <= 5 and sum(counts[len(methods) :]) <= sum(counts[: len(methods)])


def test_the_counts_of_artists_are_kept_a_hundred_times_as_long_as_counting_takes(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([1000.0, 1001.0, 1100.9, 1101.0, 1102.0])
    monkeypatch.setattr(catalogue, "time", SimpleNamespace(monotonic=lambda: next(now)))
    add("a")
    kept: catalogue.Catalogue = app.extensions["subsonic"]
    first = kept.overview()
    add("b", metadata={"genre": "Folk"})
    assert kept.overview() is first and not first.genres
    assert [genre.name for genre in kept.overview().genres] == ["Folk"]


def test_a_defect_is_an_error_of_the_protocol(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "getSong", lambda call: {}["missing"])
    assert player.code("getSong?id=1") == 0
    refused = player.get("getSong?id=1", f="jsonp", callback="<")
    assert json.loads(refused.data)["subsonic-response"]["error"]["code"] == 0


def test_the_state_of_the_service_is_told(player: Player, track: Track) -> None:
    assert player("getScanStatus")["scanStatus"] == {"scanning": False, "count": 1}
    user = player("getUser?username=ledger")["user"]
    assert [role for role, is_given in user.items() if is_given is True] == ["downloadRole", "streamRole"]
    assert [len(listed(player(method))) for method in ("getPlaylists", "getTopSongs")] == [0, 0]


ODD = ["", "\0", "é\ud800", "%", "9" * 30, "-1", "1e3", "٣", "x" * 3000, "🎵", "artist~", "artist~" + "Q" * 40, "a/b"]
NAMES = ("id", "query", "type", "genre", "size", "offset", "count", "fromYear", "toYear", "songCount", "songOffset")
NAMES += ("albumId", "title", "username", "format", "maxBitRate")


def test_no_value_of_a_parameter_breaks_a_method(player: Player, song: bytes) -> None:
    for value in ODD:
        values = {**signed(), **dict.fromkeys(NAMES, value)}
        calls = [(name, values) for name in METHODS] + [("getAlbumList2", {**values, "type": kind}) for kind in LISTS]
        for name, sent in calls:
            answer = player.client.get(f"/rest/{name}?{urlencode(sent, errors='surrogatepass')}")
            assert answer.status_code == 200 and "defect" not in answer.text, (name, value, answer.text)


@on_sqlite
def test_stars_that_wait_for_a_lock_hold_up_no_read(app: Flask, settings: Settings, track: Track) -> None:
    begun: list[str] = []
    app.before_request(lambda: begun.append(request.path))
    with closing(cysqlite.connect(str(settings.sqlite_path))) as other, serving_flask(app) as front:
        other.execute("BEGIN IMMEDIATE")
        methods = ("star", "star.view", "unstar", "unstar.view") * (limits.THREADS // 4)
        calls = [front.open(get(address(f"{method}?id=track-1"))) for method in methods]
        wait_for(lambda: len(begun) == limits.THREADS, 30)
        assert front.open(get("/api/jobs")).recv(100).startswith(b"HTTP/1.1 200 ")
        assert select.select(calls, [], [], 0)[0] == []
        other.execute("ROLLBACK")
        assert all(b'"status":"ok"' in call.recv(10_000) for call in calls)
