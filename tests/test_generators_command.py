"""`flask generators`: lists what this machine can make, and tries a generator without the database."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import soundfile

from studio.gpu import GpuLock
from tests.service import ROOT, wait_for
from tests.sounds import wav_bytes
from tests.terminals import Terminal, terminal
from tests.test_commands import flask
from tests.workers import running_in

pytestmark = pytest.mark.measured

STANDINS = ROOT / "tests" / "standins"
INFER = [
    "--lrc-path",
    "{lyrics_file}",
    "--ref-prompt={prompt}",
    "--audio-length={duration}",
    "--output-dir={output_dir}",
]
RECIPES = f"""
[song]
command = {json.dumps([sys.executable, str(STANDINS / "infer.py"), *INFER])}
seconds = {{ min = 95, max = 285 }}
lyrics = "lrc"
parameters.steps = {{ type = "int", default = 32 }}

[warm]
serve = {json.dumps([sys.executable, str(STANDINS / "serve.py"), "FOLDER"])}
cwd = "."
gpu = "0"

[missing]
command = ["no-such-program", "{{prompt}}"]

[slow]
command = ["sh", "-c", "echo loading model; sleep 600", "FOLDER"]
timeout = "1s"

[endless]
command = ["sh", "-c", "echo loading model; sleep 600", "FOLDER"]

[reference]
command = ["cp", "{{reference_file}}", "{{output_dir}}/song.wav"]
"""
Run = Callable[..., "CompletedProcess[str]"]
Open = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, own_locks: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recipes; temporary files go into another one."""
    (tmp_path / "generators.toml").write_text(RECIPES.replace("FOLDER", str(tmp_path)))
    monkeypatch.setenv("STANDIN_SECONDS", "0.2")
    return tmp_path


def left_in(folder: Path) -> list[str]:
    """What a command has left: anything but the recipes, an empty storage folder and locks of GPUs."""
    usual = {"generators.toml", "output", "temporary"}
    return [path.name for path in [*folder.iterdir(), *folder.glob("temporary/*"), *folder.glob("output/*")]
            if path.name not in usual and not path.name.startswith("ledger-gpu-")]  # fmt: skip


def test_the_list_says_what_can_start_and_what_to_do(folder: Path) -> None:
    answer = flask(folder, "generators")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in answer.stdout.splitlines()}
    assert rows["song"] == ["yes", "95–285", "lrc", "steps", "", ""] and rows["synth"][0] == "yes"
    assert rows["missing"][0] == "no" and "no program no-such-program on PATH; install it" in rows["missing"][-1]
    assert rows["warm"][4] == "0" and (answer.returncode, left_in(folder)) == (0, [])


def test_the_list_in_json_is_that_of_rest(folder: Path) -> None:
    items = json.loads(flask(folder, "generators", "--json").stdout)["items"]
    by_type = {item["job_type"]: item for item in items}
    assert by_type["song"]["can_start"] and not by_type["missing"]["can_start"]
    assert by_type["song"]["parameters"]["steps"]["default"] == 32


def test_a_trial_says_what_it_made_and_how_long_each_stage_took(folder: Path) -> None:
    answer = flask(folder, "generators", "--try", "song", "--json")
    made = json.loads(answer.stdout)
    assert answer.returncode == 0 and 2.9 < made["seconds"] < 3.1
    assert list(made["stages"]) == ["loading_model", "preparing_prompt", "generating_audio", "exporting", "encoding"]
    assert made["stages"]["generating_audio"] > 0.1 and "--audio-length=95" in made["command"]
    assert left_in(folder) == []


@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_a_trial_keeps_the_piece_if_it_is_asked_to(folder: Path, kind: str) -> None:
    answer = flask(folder, "generators", "--try", "synth", "--seconds", "4", "--output", f"try.{kind}")
    assert answer.returncode == 0 and f"file\ttry.{kind}" in answer.stdout
    assert left_in(folder) == [f"try.{kind}"] and round(soundfile.info(folder / f"try.{kind}").duration) == 4
    again = flask(folder, "generators", "--try", "synth", "--output", f"try.{kind}")
    assert again.returncode == 1 and "there is such a file already" in again.stderr


def test_a_warm_generator_is_tried_and_stopped(folder: Path, nothing_is_left_running: None) -> None:
    answer = flask(folder, "generators", "--try", "warm", "--prompt", "rain")
    assert answer.returncode == 0, answer.stderr
    assert "generating audio" in answer.stdout and left_in(folder) == []
    failed = flask(folder, "generators", "--try", "warm", "--prompt", "refuse")
    assert (failed.returncode, failed.stderr.splitlines()[-1]) == (1, "the lyrics have no [verse]")


def test_a_generator_can_listen_to_a_recording(folder: Path) -> None:
    (folder / "input").mkdir()
    (folder / "input" / "sung.wav").write_bytes(wav_bytes())
    answer = flask(folder, "generators", "--try", "reference", "--reference", "input/sung.wav")
    assert answer.returncode == 0, answer.stderr
    assert left_in(folder) == ["input"]


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("fail", "the generator ended with code 1: CUDA out of memory"),
        ("traceback", "RuntimeError: CUDA error: device-side assert triggered"),
        ("nothing", "the generator wrote no audio file into its output folder (expected *.wav"),
        ("text", "output.wav"),
    ],
)
def test_a_trial_that_fails_prints_the_last_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, sentence: str
) -> None:
    monkeypatch.setenv("STANDIN_BEHAVIOUR", behaviour)
    answer = flask(folder, "generators", "--try", "song", "--output", "try.mp3")
    assert answer.returncode == 1 and answer.stdout == "" and sentence in answer.stderr
    assert left_in(folder) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--try", "missing"], 1, "there is no program no-such-program on PATH; install it"),
        (["--try", "slow"], 1, "the generator took longer than 1 seconds and was stopped\nloading model"),
        (["--try", "reference"], 1, "reference needs a reference recording: add --reference FILE."),
        (["--try", "opera"], 1, "There is no generator opera; there are: endless, missing"),
        (["--try", "synth", "--output", "a.ogg"], 1, "expected a name that ends in .wav or .mp3"),
        (["--try", "synth", "--output", "no/a.mp3"], 1, "there is no such folder"),
        (["--prompt", "rain"], 2, "belong to --try NAME"),
        (["--try", "synth", "--seconds", "0"], 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_tried_says_why(folder: Path, arguments: list[str], code: int, sentence: str) -> None:
    answer = flask(folder, "generators", *arguments)
    assert answer.returncode == code and sentence in answer.stderr, answer.stderr
    assert left_in(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_generator_at_once(folder: Path, number: int, nothing_is_left_running: None) -> None:
    with terminal(folder, "generators", "--try", "endless") as running:
        wait_for(lambda: is_running(running, folder), 20, running.printed)
        os.killpg(running.process.pid, number)
        assert running.exit_code() == 130 and "Traceback" not in running.printed()
    assert left_in(folder) == []


def is_running(running: Terminal, folder: Path) -> bool:
    """True if the generator of a command runs."""
    return bool(running.printed()) and any(words[:2] == ["sh", "-c"] for words in running_in(folder))


def test_a_trial_that_is_killed_leaves_no_process(folder: Path, nothing_is_left_running: None) -> None:
    with terminal(folder, "generators", "--try", "endless") as running:
        wait_for(lambda: is_running(running, folder), 20, running.printed)
        running.process.kill()


def test_a_trial_waits_for_a_gpu_that_a_worker_uses(folder: Path) -> None:
    lock = GpuLock("0")
    assert lock.acquire()
    with terminal(folder, "generators", "--try", "warm") as running:
        running.expect("waiting for the GPU 0")
        wait_for(lock.is_wanted, 30)
        lock.release()
        assert running.exit_code() == 0 and "generating audio" in running.printed()
