"""The candidates of a loop: the sound around their seams, the page that shows them, and the orders that name them."""

import io
import re
import threading
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import soundfile
from flask.testing import FlaskClient

from files.storage import Storage, sha256
from models import Loop
from repos import LoopRepository, TrackRepository
from studio.loops import LoopAttempt
from studio.worker import LoopWorker
from tests.answers import problem
from tests.conftest import ROOT
from tests.sounds import RATE, noise, wav_bytes
from web.pages.wording import QUALITIES

loops, tracks = LoopRepository(), TrackRepository()
CANDIDATES = [
    {"start": 5.0, "end": 15.0, "crossfade": 0.03, "beats": 20, "tempo": 120.0, "score": 0.9, "quality": "good"},
    {"start": 1.0, "end": 2.5, "crossfade": 0.75, "beats": None, "tempo": None, "score": 0.5, "quality": "texture"},
]
SEAM = {"start": 0.1, "end": 9.1, "exact": True}
PLACE = "/api/loops/loop-1/candidates/{}/audio"


@pytest.fixture
def kind() -> str:
    """SQLite: files are the same on both."""
    return "sqlite"


@pytest.fixture
def song(storage: Storage, track: Any) -> Path:
    """Twenty seconds of noise as the sound of the track."""
    path = storage.root / "song.wav"
    path.write_bytes(wav_bytes(20))
    tracks.update("track-1", file_path_wav="song.wav")
    return path


@pytest.fixture
def cut(loop: Loop, song: Path) -> Loop:
    """A completed loop of the song with two candidates."""
    tracks.update("track-1", duration=20)
    analysis = {"quality": "good", "candidates": CANDIDATES, "source_sha256": sha256(song)}
    changed = loops.update("loop-1", status="COMPLETED", analysis=analysis)
    assert changed is not None
    return changed


@pytest.mark.parametrize(("number", "seconds"), [(1, 6.0), (2, 3.25)])
def test_the_sound_around_a_seam_is_made_once_and_kept(
    client: FlaskClient, storage: Storage, cut: Loop, number: int, seconds: float
) -> None:
    first = client.get(PLACE.format(number))
    sound, rate = soundfile.read(io.BytesIO(first.data))
    assert (first.status_code, first.mimetype, rate) == (200, "audio/wav", RATE)
    assert len(sound) == seconds * RATE and "(seam" in first.headers["Content-Disposition"]
    [kept] = (storage.root / ".derived" / "song.wav").iterdir()
    made = kept.stat().st_mtime_ns
    part = client.get(PLACE.format(number), headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.data, kept.stat().st_mtime_ns) == (206, b"RIFF", made)


def test_a_track_with_an_mp3_alone_has_previews(client: FlaskClient, storage: Storage, cut: Loop) -> None:
    (storage.root / "song.mp3").write_bytes(wav_bytes(20, "MP3"))
    tracks.update("track-1", file_path_wav=None, file_path_mp3="song.mp3")
    loops.update("loop-1", analysis={**cut.analysis, "source_sha256": sha256(storage.root / "song.mp3")})
    assert len(soundfile.read(io.BytesIO(client.get(PLACE.format(1)).data))[0]) == 6 * RATE


@pytest.mark.parametrize("has_preview", [True, False])
def test_a_loop_that_was_cut_from_the_mp3_keeps_its_previews_when_a_wav_is_added(
    client: FlaskClient, storage: Storage, cut: Loop, song: Path, has_preview: bool
) -> None:
    (storage.root / "song.mp3").write_bytes(wav_bytes(20, "MP3"))
    tracks.update("track-1", file_path_wav=None, file_path_mp3="song.mp3")
    loops.update("loop-1", analysis={**cut.analysis, "source_sha256": sha256(storage.root / "song.mp3")})
    before = client.get(PLACE.format(1)).data if has_preview else None
    tracks.update("track-1", file_path_wav="song.wav")
    after = client.get(PLACE.format(1))
    assert after.status_code == 200 and before in (after.data, None)
    (storage.root / "song.mp3").write_bytes(wav_bytes(21, "MP3"))
    problem(client.get(PLACE.format(1)), 409, "conflict")


@pytest.mark.parametrize("number", [0, 3, 99_999_999_999_999_999_999])
def test_a_missing_candidate_is_404(client: FlaskClient, cut: Loop, number: int) -> None:
    refusal = problem(client.get(PLACE.format(number)), 404, "not_found")
    assert refusal["detail"] == f"This loop has no candidate {number}: it has 1, 2."


@pytest.mark.parametrize("number", ["-1", "1.5", "best", "%31%20"])
def test_a_candidate_number_must_be_an_integer(client: FlaskClient, cut: Loop, number: str) -> None:
    problem(client.get(PLACE.format(number)), 404, "not_found")


def test_a_loop_that_is_not_completed_has_no_candidates(client: FlaskClient, loop: Loop, song: Path) -> None:
    refusal = problem(client.get(PLACE.format(1)), 409, "wrong_status")
    assert "PENDING" in refusal["detail"] and problem(client.get("/api/loops/x/candidates/1/audio"), 404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": None},
        {"candidates": "many"},
        {"candidates": {"1": CANDIDATES[0]}},
        {"candidates": [3, None, {}, {"start": "1", "end": 2, "crossfade": 0}]},
        {"candidates": [{"start": 1, "end": 2, "crossfade": 1.5}, {"start": 3, "end": 2, "crossfade": 0}]},
        {"candidates": [{"start": 3600, "end": 7200, "crossfade": 3600}, {"start": 5, "end": 15, "crossfade": 3.01}]},
        {"candidates": [{"start": -1, "end": 2, "crossfade": 0}, {"start": 1e9, "end": 2e9, "crossfade": 0}]},
        {"source_sha256": None},
        {"source_sha256": "../../x"},
    ],
    ids=str,
)
def test_an_analysis_that_a_script_wrote_has_no_candidates_to_hear(
    client: FlaskClient, cut: Loop, change: dict[str, Any]
) -> None:
    loops.update("loop-1", analysis={**cut.analysis, **change})
    refusal = problem(client.get(PLACE.format(1)), 404, "not_found")
    assert refusal["detail"] == "The analysis of this loop has no candidates: make the loop again."


def test_a_loop_has_at_most_five_candidates(client: FlaskClient, cut: Loop) -> None:
    loops.update("loop-1", analysis={**cut.analysis, "candidates": CANDIDATES * 50})
    assert problem(client.get(PLACE.format(6)), 404, "not_found")["detail"].endswith("it has 1, 2, 3, 4, 5.")
    assert client.get("/jobs/job-1").text.count('<li class="candidate">') == 5


def test_old_previews_are_refused_after_an_upload(client: FlaskClient, storage: Storage, cut: Loop) -> None:
    client.get(PLACE.format(1))
    assert client.put("/api/tracks/track-1/audio", data=wav_bytes(21)).status_code == 200
    refusal = problem(client.get(PLACE.format(1)), 409, "conflict")
    assert "replaced after this loop was cut" in refusal["detail"]
    assert client.get("/api/tracks/track-1/audio").status_code == 200 and not list(storage.root.glob(".parts/*"))


def test_old_previews_are_refused_after_the_file_has_changed(client: FlaskClient, song: Path, cut: Loop) -> None:
    client.get(PLACE.format(1))
    soundfile.write(song, -noise(20), RATE)
    problem(client.get(PLACE.format(1)), 409, "conflict")


def test_a_track_without_its_file_has_no_previews(client: FlaskClient, song: Path, cut: Loop) -> None:
    song.unlink()
    assert "upload one" in problem(client.get(PLACE.format(1)), 404, "not_found")["detail"]


def test_previews_go_with_the_sound_of_their_track(client: FlaskClient, storage: Storage, cut: Loop) -> None:
    client.get(PLACE.format(1))
    assert client.delete("/api/tracks/track-1?files=true").status_code == 204
    assert not (storage.root / ".derived").exists() or not list((storage.root / ".derived").rglob("*.wav"))


# --- the page of the job


def shown(client: FlaskClient, **analysis: Any) -> str:
    """The page of the job, with this analysis of its loop."""
    Loop.update(analysis=analysis).execute()
    return unescape(client.get("/jobs/job-1").text)


@pytest.mark.parametrize(("word", "sentence"), QUALITIES.items())
def test_a_loop_says_how_well_it_loops(client: FlaskClient, cut: Loop, word: str, sentence: str) -> None:
    page = shown(client, quality=word, beat_error_ms=0.44)
    assert f'<p class="verdict">{sentence}</p>' in page and "<span>beat error 0.4 ms</span>" in page
    assert re.search(rf"<span>{word}( seam)?</span>", page)


@pytest.mark.parametrize(("error", "words"), [(12.34, "12.3 ms"), (0.05, "0.1 ms"), (0.0, "under 0.1 ms")])
def test_a_loop_says_how_far_its_seam_is_off_the_beat(client: FlaskClient, cut: Loop, error: float, words: str) -> None:
    assert f"<span>beat error {words}</span>" in shown(client, quality="good", beat_error_ms=error)


def test_the_document_has_the_words_of_the_page() -> None:
    text = (ROOT / "docs" / "loops.md").read_text()
    assert [f"| `{word}` | {sentence} |" in text for word, sentence in QUALITIES.items()] == [True] * 5


def test_a_loop_shows_its_candidates_and_which_it_has(client: FlaskClient, cut: Loop) -> None:
    page = shown(client, **{**cut.analysis, "start": 5.0, "end": 15.0})
    [first, second] = re.findall(r'<li class="candidate">(.*?)</li>', page, re.S)
    assert "0:05.0–0:15.0</span><span>10.0 s</span><span>20 beats</span><span>good seam" in first
    above = page.partition('class="candidate"')[0]
    assert "<span>0:05.0–0:15.0</span><span>good seam</span>" in above
    for part in (f'src="{PLACE.format(1)}"', 'data-sound="seam:loop-1:1"', 'data-seconds="6.0"'):
        assert part in above and part not in first
    assert page.count("In this loop") == 1 and "In this loop" in first and "Make this loop" not in first
    assert "0:01.0–0:02.5</span><span>1.5 s</span><span>texture<" in second and 'name="candidate" value="2"' in second
    assert f'<audio controls preload="none" src="{PLACE.format(2)}"' in second and 'data-seconds="3.25"' in second


def test_a_seam_that_is_no_candidate_is_shown_first(client: FlaskClient, cut: Loop) -> None:
    page = shown(client, **{**cut.analysis, "start": 4.1, "end": 14.3, "beats": 21})
    [own, *others] = re.findall(r'<li class="candidate">(.*?)</li>', page, re.S)
    assert "0:04.1–0:14.3</span><span>10.2 s</span><span>21 beats</span><span>good seam" in own
    assert "In this loop" in own and "<audio" not in own and "Make this loop" not in own
    assert len(others) == 2 and all("Make this loop" in other for other in others) and page.count("In this loop") == 1


def test_candidates_are_not_offered_after_new_sound_was_uploaded(client: FlaskClient, cut: Loop) -> None:
    assert "Make this loop" in client.get("/jobs/job-1").text
    client.put("/api/tracks/track-1/audio", data=wav_bytes(21))
    page = client.get("/jobs/job-1").text
    assert "The sound of the track was replaced after this loop was made: make a new loop" in page
    assert "Make this loop" not in page and "/candidates/" not in page


def test_candidates_are_offered_after_a_new_star_or_title(client: FlaskClient, cut: Loop) -> None:
    client.patch("/api/tracks/track-1", json={"starred": True, "title": "Rain"})
    page = client.get("/jobs/job-1").text
    assert "Make this loop" in page and "was replaced" not in page


def test_candidates_are_not_offered_if_the_sound_was_uploaded_while_the_loop_was_made(
    client: FlaskClient, loop: Loop, song: Path
) -> None:
    analysis, claimed = {"candidates": CANDIDATES, "source_sha256": sha256(song)}, loops.claim("worker")
    client.put("/api/tracks/track-1/audio", data=wav_bytes(21))
    assert claimed is not None
    loops.update("loop-1", status="COMPLETED", analysis=analysis, lease_token=claimed.lease_token)
    assert "The sound of the track was replaced after this loop was made" in client.get("/jobs/job-1").text


@pytest.mark.parametrize("value", [1e300, -5, True, 10**400, "0.1"], ids=str)
def test_numbers_that_cannot_be_true_are_not_shown(client: FlaskClient, cut: Loop, value: Any) -> None:
    names = ("beat_error_ms", "tempo", "beats", "start", "end")
    Loop.update(analysis=dict.fromkeys(names, value)).execute()
    assert not re.search("beat error|bpm| beats|–0:", client.get("/jobs/job-1").text)


def test_a_loop_that_is_being_made_again_shows_no_candidates(client: FlaskClient, cut: Loop) -> None:
    Loop.update(status="FAILED").execute()
    page = client.get("/jobs/job-1").text
    assert "candidate" not in page and "verdict" not in page


@pytest.mark.parametrize("value", [None, 5, "<i>", [[]], {"start": {}}, [{"start": 1, "end": 1e300}]])
def test_whatever_a_script_wrote_into_an_analysis_is_shown_as_text(client: FlaskClient, cut: Loop, value: Any) -> None:
    names = ("quality", "beat_error_ms", "tempo", "beats", "candidates", "source_sha256", "start", "end")
    Loop.update(analysis=dict.fromkeys(names, value)).execute()
    answer = client.get("/jobs/job-1")
    assert answer.status_code == 200 and "<i>" not in answer.text and "candidate" not in answer.text


def test_the_form_of_a_candidate_orders_its_loop(client: FlaskClient, cut: Loop) -> None:
    form = {"duration": "12.5", "format": "WAV", "fade_in_out": "true", "candidate": "2"}
    assert client.post("/tracks/track-1/loops", data=form).headers["Location"] == "/jobs/job-1#track-track-1"
    made = Loop.get(Loop.loop_id != "loop-1")
    assert (made.duration, made.format, made.fade_in_out, made.candidate) == (12.5, "WAV", True, 2)
    for number in ("", "0", "6", "9", "best"):
        refused = client.post("/tracks/track-1/loops", data={**form, "candidate": number})
        assert refused.status_code == 422 and "candidate must be an integer from 1 to 5" in refused.text
    assert Loop.select().count() == 2


# --- changes and workers


def test_the_candidate_of_a_completed_loop_cannot_be_changed(client: FlaskClient, cut: Loop) -> None:
    refusal = problem(client.patch("/api/loops/loop-1", json={"candidate": 2}), 409, "wrong_status")
    assert "candidate can only be changed while it is PENDING, FAILED or CANCELLED" in refusal["detail"]
    assert client.get("/api/loops/loop-1").json["candidate"] is None  # type: ignore[index]


def test_a_worker_on_another_machine_gets_the_seam_that_was_ordered(client: FlaskClient, track: Any) -> None:
    ordered = client.post("/api/tracks/track-1/loops", json={"duration": 20, **SEAM}).json
    claimed = client.post("/api/loops/claim", json={"worker": "elsewhere"}).json
    for loop in (ordered, claimed):
        assert loop is not None and {name: loop[name] for name in ("candidate", *SEAM)} == {"candidate": None, **SEAM}


def test_a_loop_whose_source_disappears_before_it_is_cut_says_what_to_do(
    ledger: Any, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Storage.find

    def removed_after(storage: Storage, name: str | None) -> Path | None:
        path = find(storage, name)
        song.unlink(missing_ok=True)
        return path

    monkeypatch.setattr(Storage, "find", removed_after)
    loops.create(loop_id="loop-2", track_id="track-1", duration=9)
    assert LoopWorker(ledger).tick(0)
    failed = loops.get_by_id("loop-2")
    assert failed is not None and failed.status == "FAILED" and "upload one and retry" in failed.error


def test_the_worker_gives_the_looper_the_seam_that_was_ordered(ledger: Any, track: Any) -> None:
    options = {}
    for name, seam in {"a": {}, "b": {"candidate": 2}, "c": {"start": 1, "end": 2.5}, "d": SEAM}.items():
        loops.create(loop_id=name, track_id="track-1", duration=9, fade_in_out=name == "a", format="WAV", **seam)
        claimed = loops.claim("worker")
        assert claimed is not None
        options[name] = LoopAttempt(ledger, claimed, threading.Event())._options()
    usual = ["--duration", "9.0", "--format", "WAV"]
    assert options["a"] == [*usual, "--fade"] and options["b"] == [*usual, "--candidate", "2"]
    assert options["c"] == [*usual, "--start", "1.0", "--end", "2.5"]
    assert options["d"] == [*usual, "--start", "0.1", "--end", "9.1", "--exact"]
