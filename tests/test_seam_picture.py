"""The pictures of seams: made once, the same answers as the previews, and what they show."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from flask.testing import FlaskClient

from files.storage import Storage
from models import Loop
from repos import LoopRepository, TrackRepository
from studio.looper.outline import POINTS
from tests.answers import problem
from tests.conftest import ROOT
from tests.sounds import RATE, noise, wav_bytes
from tests.test_candidates import CANDIDATES, cut, kind, song  # noqa: F401
from web.seams import CUT, HEIGHT, WIDTH, svg

loops, tracks = LoopRepository(), TrackRepository()
OWN, CANDIDATE = "/api/loops/loop-1/seam.svg", "/api/loops/loop-1/candidates/{}/seam.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def whole(cut: Loop) -> Loop:  # noqa: F811
    """A completed loop whose own seam is its first candidate."""
    changed = loops.update("loop-1", analysis={**cut.analysis, **CANDIDATES[0]})
    assert changed is not None
    return changed


def parts(picture: bytes) -> dict[str, ElementTree.Element]:
    """The elements of a picture by their class, or their name."""
    return {part.get("class") or part.tag.removeprefix(SVG): part for part in ElementTree.fromstring(picture)}


@pytest.mark.parametrize("place", [OWN, CANDIDATE.format(1)])
def test_the_picture_of_a_seam_is_made_once_and_kept(
    client: FlaskClient, storage: Storage, whole: Loop, place: str
) -> None:
    first = client.get(place)
    assert (first.status_code, first.mimetype) == (200, "image/svg+xml")
    [kept] = (storage.root / ".derived" / "song.wav").iterdir()
    made = kept.stat().st_mtime_ns
    again = client.get(place, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, kept.stat().st_mtime_ns) == (304, made) and kept.name.split(".", 1)[1].startswith(
        "seam-"
    )


def test_a_picture_has_a_title_the_cut_and_the_crossfade(client: FlaskClient, whole: Loop) -> None:
    there = parts(client.get(CANDIDATE.format(2)).data)
    expected = "The seam: the sound before 2.5 s continues with the sound after 1.0 s, with a crossfade of 750 ms."
    assert there["title"].text == expected and "prefers-color-scheme:dark" in str(there["style"].text)
    assert float(there["cut"].get("x1", 0)) == CUT == WIDTH / 2
    assert float(there["mix"].get("x", 0)) + float(there["mix"].get("width", 0)) == CUT
    assert float(there["mix"].get("width", 0)) == pytest.approx(0.75 / 2 * CUT, abs=0.1)
    assert {"leaving", "entering", "leaving other", "entering other"} <= there.keys()


def test_the_outline_has_the_sound_around_both_ends(tmp_path: Path) -> None:
    sound = np.zeros((20 * RATE, 2), np.float32)
    sound[15 * RATE - 400 : 15 * RATE, 0], sound[5 * RATE : 5 * RATE + 400, 1] = 0.5, -0.25
    soundfile.write(tmp_path / "song.wav", sound, RATE)
    outline = made(tmp_path, 5.0, 15.0)
    leaving, entering = np.array(outline["leaving"]), np.array(outline["entering"])
    assert leaving.shape == entering.shape == (POINTS, 2) and outline["seconds"] == 2
    middle = POINTS // 2
    assert np.flatnonzero(leaving[:, 1]).tolist() == list(range(middle - 5, middle)) and leaving.max() == 0.5
    assert np.flatnonzero(entering[:, 0]).tolist() == list(range(middle, middle + 5)) and entering.min() == -0.25


@pytest.mark.parametrize("kind_of_file", ["WAV", "MP3"])
def test_the_outline_is_silent_before_the_recording_begins_and_after_its_end(tmp_path: Path, kind_of_file: str) -> None:
    (tmp_path / "song.wav").write_bytes(wav_bytes(10, kind_of_file))
    outline = made(tmp_path, 0.5, 9.5)
    silent = [np.flatnonzero(np.abs(outline[name]).max(axis=1) == 0) for name in ("leaving", "entering")]
    assert silent[0].tolist() == list(range(250, POINTS)) and silent[1].tolist() == list(range(150))


def made(folder: Path, start: float, end: float) -> dict[str, Any]:
    """The outline of the seam of song.wav in a folder."""
    options = ["--outline", f"--start={start}", f"--end={end}", "--crossfade=0"]
    command = [sys.executable, "-m", "studio.looper.preview", *options, str(folder / "song.wav"), str(folder / "out")]
    subprocess.run(command, cwd=ROOT, check=True)
    outline: dict[str, Any] = json.loads((folder / "out").read_text())
    return outline


def test_every_point_of_a_picture_lies_in_its_frame() -> None:
    loud = [[-1.0, 1.0]] * POINTS
    for peaks in (loud, [[0.0, 0.0]] * POINTS):
        picture = svg({"start": 1.0, "end": 9.0, "seconds": 2.0, "leaving": loud, "entering": peaks}, 3.0)
        for name, part in parts(picture.encode()).items():
            for point in part.get("d", "M0,0Z")[1:-1].split("L"):
                across, down = map(float, point.split(","))
                assert 0 <= across <= WIDTH and 0 <= down <= HEIGHT, name


@pytest.mark.parametrize("place", [OWN, CANDIDATE.format(1)])
def test_a_loop_that_is_not_completed_has_no_picture(client: FlaskClient, loop: Loop, song: Path, place: str) -> None:  # noqa: F811
    assert "PENDING" in problem(client.get(place), 409, "wrong_status")["detail"]
    problem(client.get(place.replace("loop-1", "nobody")), 404, "not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"start": None},
        {"start": "5"},
        {"end": 1},
        {"crossfade": 9.0},
        {"crossfade": -1},
        {"end": float(2**60)},
        {"source_sha256": None},
    ],
    ids=str,
)
def test_an_analysis_that_a_script_wrote_has_no_picture(client: FlaskClient, whole: Loop, change: Any) -> None:
    loops.update("loop-1", analysis={**whole.analysis, **change})
    assert "make the loop again" in problem(client.get(OWN), 404, "not_found")["detail"]


def test_a_missing_candidate_has_no_picture(client: FlaskClient, whole: Loop) -> None:
    assert problem(client.get(CANDIDATE.format(3)), 404, "not_found")["detail"].endswith("it has 1, 2.")


def test_a_replaced_sound_has_no_picture_of_the_old_seam(client: FlaskClient, song: Path, whole: Loop) -> None:  # noqa: F811
    assert client.get(OWN).status_code == 200
    soundfile.write(song, -noise(20), RATE)
    problem(client.get(OWN), 409, "conflict")
    song.unlink()
    problem(client.get(OWN), 404, "not_found")


def test_a_seam_after_the_end_of_the_sound_has_no_picture(client: FlaskClient, whole: Loop) -> None:
    loops.update("loop-1", analysis={**whole.analysis, "start": 50.0, "end": 90.0})
    answer = client.get(OWN)
    assert 400 <= answer.status_code < 500 and "ends before the seam" in answer.json["detail"]
