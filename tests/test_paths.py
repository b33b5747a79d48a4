"""Recorded paths and paths in URLs lead nowhere outside the storage folder."""

import os

import pytest
from flask.testing import FlaskClient

from files.storage import Storage
from models import Loop
from tests.sounds import wav_bytes
from tests.test_storage import ATTACKS, everything


@pytest.fixture
def kind() -> str:
    """SQLite, unless a test says otherwise: files are the same on both."""
    return "sqlite"


REFUSED = {"a\0b.wav": 400, "\udcff.wav": 400, "x" * 5000: 422}  # all other paths are recorded as they are


@pytest.mark.parametrize("name", [name for name in ATTACKS if name])
def test_a_recorded_path_outside_the_folder_is_neither_served_nor_removed(
    client: FlaskClient, storage: Storage, loop: Loop, name: str
) -> None:
    secret = storage.root.parent / "secret.wav"
    (storage.root / "linked").symlink_to(storage.root.parent)
    (storage.root / "link.wav").symlink_to(secret)
    os.mkfifo(storage.root / "fifo.wav")
    secret.write_bytes(wav_bytes())
    name = name.format(outside=storage.root.parent) if "{" in name else name
    answers = [client.patch("/api/tracks/track-1", json={"file_path_wav": name, "file_path_mp3": name})]
    answers += [client.patch("/api/loops/loop-1", json={"result_path": name, "status": "COMPLETED"})]
    before = everything(storage.root.parent)
    assert [answer.status_code for answer in answers] == [REFUSED.get(name, 200)] * 2
    for place in ("tracks/track-1/audio", "tracks/track-1/waveform.json", "loops/loop-1/audio"):
        assert client.get(f"/api/{place}").status_code == 404
    assert client.delete("/api/jobs/job-1?files=true").status_code == 204
    assert everything(storage.root.parent) == before and secret.read_bytes() == wav_bytes()


@pytest.mark.parametrize(
    "path",
    ["../../secret", "%2e%2e/%2e%2e/secret", "%252e%252e%252fsecret", "..%5c..%5csecret", "a%00b", "%2fetc%2fpasswd"],
)
def test_a_path_in_a_url_leads_nowhere(client: FlaskClient, song: bytes, path: str) -> None:
    for kind in ("tracks", "loops"):
        answer = client.get(f"/api/{kind}/{path}/audio")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")
