"""Takes: one after another or together, each recorded when it is whole; seeds; and what counts as made."""

import sys
from pathlib import Path
from typing import Any

import pytest

from files.deletion import delete_track
from files.storage import Storage, sha256
from models import Event, Track
from repos import JobRepository, TrackRepository
from settings import Settings
from studio.songs import SongAttempt
from studio.worker import JobWorker
from tests.conftest import on_sqlite
from tests.own_generator import GENERATOR, generator, takes_of
from tests.workers import stored

jobs, tracks = JobRepository(), TrackRepository()
SYNTH = {"prompt": "calm piano", "job_type": "synth", "metadata": {"duration": 3}}


def test_takes_are_made_one_after_another_with_rising_seeds(made: Any) -> None:
    job = made("write('song.wav', 1000 * take)", takes=3)
    assert job.status == "completed", job.error
    assert takes_of(job) == [(1, 7), (2, 8), (3, 9)]
    assert [entry["take"] for entry in job.file_manifest["tracks"]] == [1, 2, 3]


def test_each_take_is_an_event_before_the_next_is_made(made: Any) -> None:
    job = made("print('50%'); write('song.wav')", takes=3)
    created = [event.event_id for event in Event.select().where(Event.entity == "track")]
    ended = Event.get(Event.entity_id == job.job_id, Event.data["status"] == "completed").event_id
    between = Event.select().where(Event.entity == "job", Event.event_id.between(created[0], created[1]))
    assert len(created) == 3 and max(created) < ended and between.count() > 0


def test_progress_covers_all_takes_and_only_rises(made: Any) -> None:
    job = made("print('generating 100%'); write('song.wav')", takes=4)
    states = [event.data for event in Event.select().where(Event.entity_id == job.job_id).order_by(Event.event_id)]
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress) and any((state["message"] or "").startswith("take ") for state in states)
    assert [state["status"] for state in states if state["progress"] < 75].count("exporting") == 0


def test_a_generator_that_makes_several_at_once_runs_once(made: Any) -> None:
    code = """
    for number in range(int(sys.argv[4])):
        write(f'take{number}.wav', 1000 * (number + 1))
    (folder / '../runs').open('a').write('x')
    """
    command = [sys.executable, "make.py", "{output_dir}", "{take}", "{seed}", "{takes}"]
    job = made(code, takes=11, batch=True, command=command)
    assert job.status == "completed", job.error
    assert takes_of(job) == [(take, 6 + take) for take in range(1, 12)]
    assert tracks.get_by_job_id(job.job_id)[10].file_path_wav.endswith("take10-11.wav")


def test_a_batch_with_too_few_takes_keeps_them_and_says_so(made: Any) -> None:
    job = made("write('a.wav'); write('b.wav')", takes=3, batch=True)
    assert (job.status, takes_of(job)) == ("failed", [(1, 7), (2, 8)])
    assert job.error == "take 3 of 3: the generator made no usable file; the other takes are recorded"


def test_a_failed_job_goes_on_after_its_last_whole_take(made: Any, ledger: Settings, tmp_path: Path) -> None:
    job = made("write('song.wav') if take < 3 else sys.exit('no memory')", takes=4)
    assert (job.status, takes_of(job)) == ("failed", [(1, 7), (2, 8)]) and "no memory" in job.error
    first = {track.track_id: sha256(ledger.storage_dir / track.file_path_wav) for track in Track.select()}
    (tmp_path / "generator" / "make.py").write_text(GENERATOR + "write('song.wav')")
    jobs.retry(job.job_id)
    (file,) = tmp_path.glob("*.toml")
    assert JobWorker(ledger.model_copy(update={"generators": file})).tick(0)
    assert takes_of(job) == [(1, 7), (2, 8), (3, 9), (4, 10)]
    assert {track: sha256(ledger.storage_dir / Track.get_by_id(track).file_path_wav) for track in first} == first


def test_a_failed_take_leaves_no_file_and_no_other_take_loses_one(made: Any, ledger: Settings) -> None:
    job = made("write('song.wav', 9000 if take < 2 else 0)", takes=2)
    (track,) = tracks.get_by_job_id(job.job_id)
    assert job.status == "failed"
    log = Storage(ledger).relative(Storage(ledger).log(job.job_id))
    assert job.error == "take 2 of 2: song.wav is silent; the other takes are recorded"
    assert stored(ledger) == {track.file_path_wav, track.file_path_mp3, log}


@on_sqlite
def test_a_batch_counts_takes_and_not_files(made: Any) -> None:
    job = made("write('1.wav', 0); write('2.wav'); write('3.wav')", takes=2, batch=True)
    assert (job.status, {take for take, _ in takes_of(job)}) == ("failed", {2})
    assert job.error == "take 1 of 2: the generator made no usable file; the other takes are recorded"


@on_sqlite
def test_a_bad_take_does_not_keep_the_others_from_being_made(made: Any) -> None:
    job = made("print('step', take); write('a.wav', 0) if take == 2 else take == 3 or write('a.wav')", takes=4)
    assert (job.status, takes_of(job)) == ("failed", [(1, 7), (4, 10)])
    first, *lines = job.error.splitlines()
    assert first.startswith("take 2 of 4: a.wav is silent; take 3 of 4: the generator wrote no audio file ")
    assert first.endswith("; the other takes are recorded") and lines == ["step 3"]


@on_sqlite
def test_the_error_of_a_bad_file_has_the_last_lines_of_the_generator(made: Any) -> None:
    job = made("print('no GPU, using noise'); write('a.wav', 0)")
    assert job.error == "a.wav is silent\nno GPU, using noise"


@on_sqlite
def test_a_generator_that_fails_ends_the_attempt_at_once(made: Any) -> None:
    job = made("sys.exit('no memory') if take == 2 else write('a.wav')", takes=4)
    assert takes_of(job) == [(1, 7)] and job.error.startswith("the generator ended with code 1")


@on_sqlite
def test_the_files_of_a_take_are_removed_before_the_next_one(made: Any) -> None:
    code = "assert len(list(folder.parent.parent.glob('run-*'))) == 1; write('a.wav', 9000 * (take % 2))"
    assert [take for take, _ in takes_of(made(code, takes=3))] == [1, 3]


def test_a_take_that_is_deleted_meanwhile_is_not_in_the_manifest(ledger: Settings, monkeypatch: Any) -> None:
    job = jobs.create(**SYNTH, takes=3)
    add = SongAttempt._add

    def add_and_delete(attempt: SongAttempt, fields: list[dict[str, Any]]) -> None:
        add(attempt, fields)
        if fields[0]["take"] == 1:
            delete_track(Storage(ledger), fields[0]["track_id"], None, False)

    monkeypatch.setattr(SongAttempt, "_add", add_and_delete)
    assert JobWorker(ledger).tick(0)
    assert [entry["take"] for entry in jobs.get_by_id(job.job_id).file_manifest["tracks"]] == [2, 3]


# --- what counts as made


@on_sqlite
def test_exit_code_0_without_a_file_is_a_failure(made: Any) -> None:
    job = made("print('CUDA is not available')")
    assert job.error.startswith("the generator wrote no audio file into its output folder (expected *.wav or ")
    assert job.error.endswith("CUDA is not available")


@on_sqlite
def test_only_outputs_and_not_not_outputs_count(made: Any, ledger: Settings) -> None:
    code = "write('mix.wav'); write('mix_vocal.wav'); write('recons/mix.wav'); (folder / 'x.txt').write_text('x')"
    job = made(code, outputs=["*.wav", "*.txt"], not_outputs=["*_vocal.wav", "*.txt"])
    assert [Path(track.file_path_wav).name for track in tracks.get_by_job_id(job.job_id)] == ["mix.wav"]


@on_sqlite
def test_a_text_that_means_failure_fails_the_job_whatever_is_there(made: Any) -> None:
    job = made("print('❌ Generation failed: no model', flush=True); write('a.wav'); print('z\\n' * 90_000)",
               failed=["❌ Generation failed"])  # fmt: skip
    assert job.status == "failed" and job.error.startswith("the generator failed: ❌ Generation failed: no model\n")


@on_sqlite
def test_a_file_that_is_no_sound_is_left_out_if_another_is(made: Any, ledger: Settings) -> None:
    job = made("write('a.wav'); (folder / 'b.wav').write_text('no sound')")
    assert job.status == "completed" and len(tracks.get_by_job_id(job.job_id)) == 1
    assert "left out: b.wav is not audio" in Storage(ledger).log(job.job_id).read_text()


@on_sqlite
def test_a_link_is_not_a_file_of_the_generator(made: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"x")
    job = made(f"(folder / 'a.wav').symlink_to({str(tmp_path / 'secret.wav')!r})")
    assert job.status == "failed" and "wrote no audio file" in job.error


@on_sqlite
def test_a_folder_that_is_a_link_belongs_to_somebody_else(made: Any, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    code = f"write('mine.wav'); write('a/b.wav'); os.rename(folder / 'mine.wav', '{library}/mine.wav')"
    job = made(f"{code}; os.symlink('{library}', folder / 'latest')", outputs=["*/*.wav"])
    assert len(takes_of(job)) == 1 and (library / "mine.wav").exists()


@on_sqlite
def test_a_file_with_a_second_name_is_not_changed(made: Any, tmp_path: Path) -> None:
    job = made(f"write('a.wav'); os.link(folder / 'a.wav', '{tmp_path}/mine.wav')")
    assert job.status == "completed" and (tmp_path / "mine.wav").stat().st_size == 32_044
    assert (tmp_path / "mine.wav").stat().st_nlink == 1


@on_sqlite
@pytest.mark.parametrize("pattern", ["recons/**", "recons/**/*", "*/x/**"])
def test_two_stars_at_the_end_of_a_pattern_match_files(made: Any, pattern: str) -> None:
    code = "write('song.wav'); write('recons/x/decoy.wav')"
    assert len(takes_of(made(code, outputs=["**/*.wav"], not_outputs=[pattern]))) == 1


@on_sqlite
def test_a_name_that_is_no_utf_8_does_no_harm(made: Any) -> None:
    job = made("write('good.wav'); open(os.fsencode(folder) + b'/\\xff.wav', 'wb').write(b'junk')")
    assert job.status == "completed" and len(takes_of(job)) == 1


@on_sqlite
def test_very_many_files_are_refused(made: Any) -> None:
    job = made("for number in range(101): (folder / f'{number}.wav').touch()")
    assert job.error.startswith("the generator wrote 101 files that match outputs (*.wav or ")
    assert job.error.endswith("): at most 100 are taken")


@on_sqlite
def test_nothing_behind_a_link_is_cleaned_up(made: Any, tmp_path: Path) -> None:
    generator(tmp_path / "generator", "")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "keep").touch()
    (tmp_path / "generator" / "link").symlink_to(tmp_path / "cache")
    assert made("write('a.wav')", cleanup=["link/keep"]).status == "completed"
    assert (tmp_path / "cache" / "keep").exists()
    made("write('a.wav')", cleanup=["link"])
    assert (tmp_path / "cache" / "keep").exists() and not (tmp_path / "generator" / "link").exists()


@on_sqlite
def test_a_question_on_standard_input_gets_no_answer(made: Any) -> None:
    job = made("input('Which model? ')")
    assert job.status == "failed" and "EOFError" in job.error and "Which model?" in job.error


@on_sqlite
def test_what_an_earlier_run_left_is_removed_first(made: Any, tmp_path: Path) -> None:
    generator(tmp_path / "generator", "")
    (tmp_path / "generator" / "instruction.txt").write_text("another prompt")
    (tmp_path / "generator" / "cache").mkdir()
    code = "assert not os.path.exists('instruction.txt') and not os.path.exists('cache'); write('a.wav')"
    assert made(code, cleanup=["instruction.txt", "cache", "missing"]).status == "completed"


@on_sqlite
def test_a_generator_stops_after_the_timeout_of_its_recipe(made: Any) -> None:
    job = made("import time; time.sleep(60)", timeout="1s")
    assert job.error == "the generator took longer than 1 seconds and was stopped (timeout in its recipe)"
