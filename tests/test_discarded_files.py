"""The files of deleted tracks: nothing removes them while they can come back, and they go when that has ended."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from errors import Invalid
from files.attempts import remove_earlier_attempts
from files.deletion import delete_job, delete_track
from files.discards import UNDONE_SECONDS, Expiry, discard_job, discard_tracks
from files.leftovers import remove_leftovers
from files.pending import announce
from files.settling import settle
from files.storage import Storage
from maintenance.archive.moves import archive, unarchive
from maintenance.backup import backup
from maintenance.checks.faults import Place
from maintenance.checks.files import unnamed_file
from maintenance.restore import restore
from models import Discard, Track, utc_now
from records import discards
from repos import JobRepository, LoopRepository, TrackRepository
from settings import Settings
from tests.archives import everyone, ids, make_job
from tests.conftest import on_sqlite
from tests.test_storage import everything

jobs, tracks, loops = JobRepository(), TrackRepository(), LoopRepository()


class Hands:
    """A monotonic clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def nobody(storage: Storage, paths: set[Path]) -> set[Path]:
    """No archive needs a file."""
    return set()


@pytest.fixture
def hands() -> Hands:
    """The clock of `expiry`."""
    return Hands()


@pytest.fixture
def storage(ledger: Settings) -> Storage:
    """A storage folder with a job: its first track has a file and a loop with a file, its second has a star."""
    made = Storage(ledger)
    made.root.mkdir(exist_ok=True)
    make_job(made, "a")
    tracks.create(track_id="kept", job_id="a", starred=True)
    return made


@pytest.fixture
def expiry(storage: Storage, hands: Hands) -> Expiry:
    """The expiry of one process."""
    return Expiry(storage, hands)


@pytest.fixture
def discard(storage: Storage) -> Iterator[Discard]:
    """The first track and its loop, discarded."""
    made = discard_job(storage, "a")
    assert made is not None and made.tracks == made.loops == 1
    return made


def sounds(storage: Storage) -> list[str]:
    """The files of sound in the storage folder."""
    return sorted(path.name for path in everything(storage.root) if path.suffix in (".wav", ".mp3"))


def test_files_go_after_ten_seconds_and_not_earlier(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands
) -> None:
    assert discard.bytes == len("s.wav of a") + len("l.mp3 of a")
    expiry.run(nobody)
    hands.now += 9.99
    expiry.run(nobody)
    assert sounds(storage) == ["l.mp3", "s.wav"] and discards.get(discard.discard_id) == discard
    hands.now += 0.01
    expiry.run(nobody)
    assert sounds(storage) == [] and Discard.select().count() == 0
    assert not storage.folder("loop", "a-l").exists() and storage.log("a").exists()


def test_the_wall_clock_does_not_matter(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiry.run(nobody)
    Discard.update(created_at=utc_now() - timedelta(days=9), expires_at=utc_now() - timedelta(days=8)).execute()
    expiry.run(nobody)
    assert sounds(storage) == ["l.mp3", "s.wav"]
    Discard.update(expires_at=utc_now() + timedelta(days=8)).execute()
    hands.now += 10
    expiry.run(nobody)
    assert sounds(storage) == []


def test_a_process_that_starts_waits_ten_seconds(storage: Storage, discard: Discard, hands: Hands) -> None:
    hands.now += 1000
    Expiry(storage, hands).run(nobody)
    assert sounds(storage) == ["l.mp3", "s.wav"]


def test_an_undone_discard_keeps_its_files_and_is_forgotten_after_an_hour(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands
) -> None:
    expiry.run(nobody)
    discards.undo(discard.discard_id)
    for seconds in (10, UNDONE_SECONDS - 1, 1):
        assert Discard.select().count() == 1
        hands.now += seconds
        expiry.run(nobody)
    assert (Discard.select().count(), Track.select().count()) == (0, 2) and sounds(storage) == ["l.mp3", "s.wav"]


def test_a_file_that_another_record_names_stays(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands
) -> None:
    tracks.create(track_id="same", job_id="a", file_path_wav="jobs/a/aaaaaaaaaaaa/s.wav")
    expiry.run(nobody)
    hands.now += 10
    expiry.run(nobody)
    assert sounds(storage) == ["s.wav"]


def test_files_that_an_archive_needs_stay(storage: Storage, discard: Discard, expiry: Expiry, hands: Hands) -> None:
    def is_away(storage: Storage, paths: set[Path]) -> set[Path]:
        raise Invalid("the archive is not there")

    expiry.run(is_away)
    for _ in range(3):
        hands.now += 10
        expiry.run(is_away)
    assert sounds(storage) == ["l.mp3", "s.wav"] and discards.undo(discard.discard_id) is None
    hands.now += 60
    expiry.run(lambda storage, paths: {path for path in paths if path.suffix == ".wav"})
    assert sounds(storage) == ["s.wav"] and Discard.select().count() == 0


def test_a_discard_that_cannot_end_is_logged_once_and_tried_again_after_a_minute(
    discard: Discard, expiry: Expiry, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    tried, reason = [], ["archive a is not there"]

    def is_away(storage: Storage, paths: set[Path]) -> set[Path]:
        tried.append(hands.now)
        raise Invalid(reason[0])

    expiry.run(is_away)
    for seconds in (10, 2, 57.9, 0.1, 60):
        hands.now += seconds
        expiry.run(is_away)
    assert [at - 1000 for at in tried] == [10, 70, 130]
    assert [record.getMessage() for record in caplog.records] == [
        f"the files of discard {discard.discard_id} stay for now: archive a is not there"
    ]
    reason[0], hands.now = "archive b is not there", hands.now + 60
    expiry.run(is_away)
    assert len(caplog.records) == 2 and "archive b" in caplog.records[1].getMessage()


def test_nothing_else_removes_them(ledger: Settings, storage: Storage, discard: Discard) -> None:
    tracks.create(track_id="same", job_id="a", file_path_wav="jobs/a/aaaaaaaaaaaa/s.wav")
    remove_earlier_attempts(storage, "job", "a")
    remove_earlier_attempts(storage, "loop", "a-l")
    delete_track(storage, "same", None, files=True)
    remove_leftovers(storage)
    assert list(unnamed_file(Place(ledger, storage))) == []
    delete_job(storage, "a", None, files=True)
    assert sounds(storage) == ["l.mp3", "s.wav"]


def test_those_of_a_job_that_was_deleted_go_with_its_folder(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands
) -> None:
    delete_job(storage, "a", None, files=True)
    expiry.run(nobody)
    hands.now += 10
    expiry.run(nobody)
    assert sounds(storage) == [] and not storage.folder("job", "a").exists()


def test_an_upload_that_ends_after_the_discard_removes_no_other_file(storage: Storage) -> None:
    upload = storage.folder("track", "kept") / "00000000-0000-7000-8000-000000000000.wav"
    upload.parent.mkdir(parents=True)
    note = announce(storage, upload)
    upload.write_bytes(b"new")
    tracks.update("kept", file_path_wav=storage.relative(upload))
    discard_tracks(storage, ["kept"])
    settle(storage, note)
    assert upload.exists()


def test_a_job_stays_out_of_the_archive_until_its_discard_has_ended(
    storage: Storage, discard: Discard, expiry: Expiry, hands: Hands, tmp_path: Path
) -> None:
    assert archive(tmp_path / "archive.db", everyone(), files=True).moved == 0 and ids() == {"a"}
    expiry.run(nobody)
    hands.now += 10
    expiry.run(nobody)
    assert archive(tmp_path / "archive.db", everyone(), files=True).moved == 1
    assert unarchive(tmp_path / "archive.db").moved == 1 and Track.select().count() == 1


@on_sqlite
def test_a_discard_in_a_backup_expires_after_the_restore(
    ledger: Settings, storage: Storage, discard: Discard, hands: Hands, tmp_path: Path
) -> None:
    backup(ledger, tmp_path / "copy", files=True)
    discards.undo(discard.discard_id)
    restore(ledger, tmp_path / "copy")
    assert discards.get(discard.discard_id) == discard and sounds(storage) == ["l.mp3", "s.wav"]
    expiry = Expiry(storage, hands)
    expiry.run(nobody)
    hands.now += 10
    expiry.run(nobody)
    assert sounds(storage) == [] and list(unnamed_file(Place(ledger, storage))) == []
    assert loops.get_all() == []
