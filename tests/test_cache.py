"""The cache of derived files: what happens when files cannot be removed, made or read."""

import logging
import os
import shutil
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from errors import Busy, NotFound, StorageFull, Undecodable
from files import cache, digests
from files.derived import BATCHES, MP3, SOUND, BeingMade, Derivatives, Recipe, drawn_cover, seam_preview
from files.publishing import publish_file
from files.storage import Storage, sha256
from settings import Settings
from tests.sounds import wav_bytes


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A storage folder with a song."""
    made = Storage(Settings(_env_file=None, storage_dir=tmp_path / "output"))
    made.root.mkdir()
    (made.root / "song.wav").write_bytes(wav_bytes())
    return made


@pytest.fixture
def derivatives(storage: Storage) -> Derivatives:
    """What makes derived files of that folder."""
    return Derivatives(storage, threading.Event())


def making(derivatives: Derivatives, source: Path, recipe: Recipe) -> Future[Path]:
    """Request a derived file that is not there. Returns the future that has its path."""
    with pytest.raises(BeingMade) as being_made:
        derivatives.get(recipe, source)
    return being_made.value.future


def test_a_derived_file_that_cannot_be_removed_stays_and_the_log_says_why(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = storage.derived(storage.root / "song.wav", "mp3")
    kept.parent.mkdir(parents=True)
    kept.write_text("derived")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", path.name)

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Path, "unlink", refuse)
        cache.forget(storage.root, storage.root / "song.wav")
    assert kept.exists() and "a derived file stays" in caplog.text


def test_previews_of_seams_older_than_a_day_are_removed(storage: Storage) -> None:
    suffixes = ["mp3", "waveform.json", *(seam_preview(start, 9.0, 0.03, "a" * 64).suffix for start in (1.0, 2.0))]
    files = [storage.derived(storage.root / "song.wav", suffix) for suffix in suffixes]
    for file in files:
        (part := storage.part()).write_text("derived")
        publish_file(part, file)
        age = 24 * 3600 + (60 if file is not files[3] else -60)
        os.utime(file, (time.time() - age,) * 2)
    cache.sweep(storage.root)
    assert [file.exists() for file in files] == [True, True, False, True]


def test_a_waveform_without_loudness_of_an_earlier_version_is_removed(storage: Storage) -> None:
    old, new = (storage.derived(storage.root / "song.wav", suffix) for suffix in ("json", "waveform.json"))
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("{}")
    new.write_text("{}")
    cache.sweep(storage.root)
    assert (old.exists(), new.exists()) == (False, True)


def test_nothing_is_derived_from_a_file_that_is_gone(derivatives: Derivatives, storage: Storage) -> None:
    with pytest.raises(NotFound):
        derivatives.get(MP3, storage.root / "nobody.wav")


def test_two_requests_for_one_file_wait_for_the_same_work(derivatives: Derivatives, storage: Storage) -> None:
    with pytest.raises(BeingMade) as first:
        derivatives.get(MP3, storage.root / "song.wav")
    with pytest.raises(BeingMade) as second:
        derivatives.get(MP3, storage.root / "song.wav")
    assert first.value.future is second.value.future
    made = first.value.future.result(30)
    assert derivatives.get(MP3, storage.root / "song.wav") == made


def test_an_upload_and_an_mp3_do_not_wait_for_previews(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, go_on, run = storage.root / "song.wav", threading.Event(), Derivatives._run

    def wait_if_preview(self: Derivatives, module: str, *arguments: str | Path, **options: str) -> str:
        assert module == SOUND or go_on.wait(30)
        return run(self, module, *arguments, **options)

    monkeypatch.setattr(Derivatives, "_run", wait_if_preview)
    previews = [making(derivatives, source, seam_preview(0.1, end / 10, 0.0, sha256(source))) for end in range(5, 10)]
    assert derivatives.probe(source)["kind"] == "wav" and making(derivatives, source, MP3).result(20)
    assert not any(preview.done() for preview in previews)
    go_on.set()
    assert all(preview.result(30).exists() for preview in previews)


def test_a_file_that_did_not_change_is_not_read_again_for_its_digest(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, read = storage.root / "song.wav", []
    monkeypatch.setattr(digests, "sha256", lambda path: read.append(path) or sha256(path))
    assert {digests.digest(source) for _ in range(3)} == {sha256(source)} and read == [source]
    source.write_bytes(source.read_bytes()[::-1])
    os.utime(source, ns=(0, 1))
    assert digests.digest(source) == sha256(source) and len(read) == 2
    source.unlink()
    with pytest.raises(FileNotFoundError):
        digests.digest(source)


def test_a_request_does_not_wait_for_a_file_when_the_service_stops(derivatives: Derivatives, storage: Storage) -> None:
    derivatives.stopping.set()
    with pytest.raises(Busy, match="service is stopping"):
        derivatives.probe(storage.root / "song.wav")


def test_an_encoder_ends_when_the_service_stops(derivatives: Derivatives, storage: Storage) -> None:
    derivatives.stopping.set()
    with pytest.raises(Busy, match="service is stopping"):
        derivatives._run("files.sound", "probe", storage.root / "song.wav")


def test_a_decoder_that_crashes_is_a_file_that_cannot_be_decoded(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(Undecodable, match="cannot be decoded"):
        derivatives.probe(storage.root / "song.wav")
    assert "probe ended with code 1" in caplog.text


@pytest.mark.parametrize(
    ("signal", "error", "words"),
    [("KILL", Busy, "was killed"), ("TERM", Busy, "was killed"), ("SEGV", Undecodable, "cannot be decoded")],
)
def test_a_decoder_that_is_killed_is_no_fault_of_the_file_but_one_that_crashes_is(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch, signal: str, error: type, words: str
) -> None:
    (storage.root / "decoder").write_text(f"#!/bin/sh\nkill -{signal} $$\n")
    (storage.root / "decoder").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(storage.root / "decoder"))
    with pytest.raises(error, match=words):
        derivatives.probe(storage.root / "song.wav")


def test_a_decoder_that_finds_the_disk_full_says_so(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr(Storage, "is_full", lambda _: True)
    with pytest.raises(StorageFull):
        derivatives.probe(storage.root / "song.wav")


# --- many files at once


def drawn(derivatives: Derivatives, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that make files from now on. They make an empty file."""
    modules: list[str] = []

    def run(module: str, *arguments: str | Path, text: str = "") -> str:
        modules.append(module)
        return ""

    monkeypatch.setattr(derivatives, "_run", run)
    return modules


def test_files_that_are_there_are_not_made_again(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = drawn(derivatives, monkeypatch)
    wanted = [(drawn_cover(title), storage.root / "song.wav") for title in ("one", "two", "two")]
    for _ in range(2):
        packing = derivatives.make_all(wanted, 60, lambda: threading.current_thread().name)
        assert packing is not None and packing.result(30) == "batches_0"
    assert modules == [SOUND, "files.drawing", "files.drawing"]


def test_what_has_waited_until_its_time_is_over_makes_nothing(
    derivatives: Derivatives, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules, go_on = drawn(derivatives, monkeypatch), threading.Event()
    derivatives.make_all([], 60, go_on.wait)
    late = derivatives.make_all([(drawn_cover("one"), storage.root / "song.wav")], 0, lambda: "packed")
    go_on.set()
    assert late is not None and late.result(30) == "packed" and modules == []


def test_few_wait_until_their_files_are_made(derivatives: Derivatives) -> None:
    go_on = threading.Event()
    waiting = [derivatives.make_all([], 60, go_on.wait) for _ in range(BATCHES)]
    assert derivatives.make_all([], 60, go_on.wait) is None
    assert waiting[-1] is not None and waiting[-1].cancel()
    again = derivatives.make_all([], 60, go_on.wait)
    go_on.set()
    assert again is not None and again.result(30)
