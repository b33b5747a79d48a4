"""The adapters of recipes/ speak the warm protocol over real pipes, to stand-ins of the libraries that they call."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import soundfile

from tests.repositories import RECIPES, SECONDS, environment, lay_out, run
from tests.sounds import wav_bytes

PARAMETERS = {
    "diffrhythm": {"chunked": True},
    "musicgen": {"top_k": 250, "temperature": 1.0, "cfg_coef": 3.0},
    "stable_audio_open": {"steps": 10, "cfg_scale": 7.0, "negative_prompt": "", "init_noise_level": 1.0},
}
MODELS = {"musicgen": "facebook/musicgen-melody", "stable_audio_open": "stabilityai/stable-audio-open-1.0"}
RATES = {"diffrhythm": 44100, "musicgen": 32000, "stable_audio_open": 44100}
LONGEST_ADAPTER = 60  # lines


class Adapter:
    """One adapter as a process, and the requests and answers of its pipes."""

    def __init__(self, name: str, home: Path) -> None:
        folder = lay_out(home, name)
        self.name, self.home, self.records = name, home, home / "records"
        self.records.mkdir()
        words = [folder / ".venv/bin/python", RECIPES / f"{name}_serve.py", *filter(None, [MODELS.get(name)])]
        more = {"PYTHONPATH": "infer"} if name == "diffrhythm" else {}
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                words, cwd=folder, env=environment(folder, STANDIN_RECORD=str(self.records), **more),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def send(self, line: bytes) -> None:
        """Write one line to the process."""
        self.stream(self.process.stdin).write(line + b"\n")
        self.stream(self.process.stdin).flush()

    def answers(self) -> Iterator[dict[str, Any]]:
        """The JSON objects that it prints; other lines are log."""
        for line in self.stream(self.process.stdout):
            if line.startswith(b"{"):
                yield json.loads(line)

    def until(self, *keys: str) -> list[dict[str, Any]]:
        """The answers up to the first one that has one of these keys."""
        answers = []
        for answer in self.answers():
            answers.append(answer)
            if answer.keys() & set(keys):
                return answers
        raise AssertionError(f"it ended after {answers}: {(self.home / 'log').read_text()}")

    def ask(self, number: str, **fields: Any) -> list[dict[str, Any]]:
        """The answers to a request, up to its end."""
        self.send(json.dumps(self.request(number, **fields)).encode())
        return self.until("done", "error")

    def request(self, number: str, **fields: Any) -> dict[str, Any]:
        """A request with all fields of the protocol."""
        (self.home / number).mkdir()
        usual = {
            "id": number, "prompt": "folk, guitar", "lyrics": "[00:10.00]one\n[00:20.00]two\n", "lyrics_file": None,
            "duration": 95 if self.name == "diffrhythm" else 3, "seed": 7, "take": 1, "takes": 1,
            "output_dir": str(self.home / number), "reference_file": None, "parameters": PARAMETERS[self.name],
            "metadata": {},
        }  # fmt: skip
        return {**usual, **fields}

    def audio(self, number: str) -> Path:
        """The one file of a request."""
        [path] = (self.home / number).iterdir()
        return path

    def recorded(self) -> list[dict[str, Any]]:
        """What the library was asked to make, in order."""
        arrived = [json.loads(path.read_text()) for path in sorted(self.records.iterdir())]
        return [each for each in arrived if "loaded" not in each]

    def end(self) -> int:
        """Close its standard input and wait for its exit code."""
        self.stream(self.process.stdin).close()
        return self.process.wait(SECONDS)

    @staticmethod
    def stream(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


@pytest.fixture
def adapter(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """The adapter that the test names by its parameter, ready."""
    started = Adapter(request.param, tmp_path)
    with started.process:  # it closes the pipes
        assert started.until("ready") == [{"ready": True}]
        yield started
        started.process.kill()


def with_each(*names: str) -> pytest.MarkDecorator:
    """Run a test with these adapters."""
    return pytest.mark.parametrize("adapter", names, indirect=True)


ALL = with_each(*PARAMETERS)


@ALL
def test_two_requests_are_made_by_one_process(adapter: Adapter) -> None:
    for number in ("first", "second"):
        answers = adapter.ask(number)
        assert answers[-1] == {"id": number, "done": True}
        info = soundfile.info(adapter.audio(number))
        assert (info.samplerate, info.frames > 0) == (RATES[adapter.name], True)
    assert adapter.end() == 0


@ALL
def test_progress_rises_and_belongs_to_the_request(adapter: Adapter) -> None:
    *answers, _ = adapter.ask("first")
    progress = [answer["progress"] for answer in answers]
    assert len(progress) >= 3 and progress == sorted(progress) and 0 <= progress[0] <= progress[-1] <= 99
    assert {answer["id"] for answer in answers} == {"first"} and answers[-2]["stage"] == "generating_audio"


@ALL
def test_a_failing_request_is_an_error_and_the_next_one_is_made(adapter: Adapter) -> None:
    assert adapter.ask("first", prompt="fail")[-1] == {
        "id": "first",
        "error": "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
    }
    assert not list((adapter.home / "first").iterdir())
    assert adapter.ask("second")[-1] == {"id": "second", "done": True}


@pytest.mark.parametrize("line", [b"no json", b"[1, 2]", b'"text"', b"{}", b'{"id": "x"}', b"\xff\xfe", b""])
@with_each("musicgen")
def test_a_bad_line_is_an_error_and_the_next_one_is_made(adapter: Adapter, line: bytes) -> None:
    adapter.send(line)
    [answer] = adapter.until("error")
    assert answer["id"] == ("x" if b"id" in line else None) and len(answer["error"]) > 5
    assert adapter.ask("second")[-1] == {"id": "second", "done": True}


@ALL
def test_the_seed_decides_the_audio(adapter: Adapter) -> None:
    for number, seed in (("first", 7), ("again", 7), ("other", 8), ("highest", 2**32 - 1)):
        assert "done" in adapter.ask(number, seed=seed)[-1]
    first, again, other = (adapter.audio(number).read_bytes() for number in ("first", "again", "other"))
    assert first == again != other


@ALL
def test_the_prompt_arrives_as_it_is(adapter: Adapter) -> None:
    prompt = '"quoted" --flag {braces} \n $(x) 民谣 🎧 ' + "long " * 1000
    assert "done" in adapter.ask("first", prompt=prompt)[-1]
    assert prompt in values(adapter.recorded()[-1])


def values(content: Any) -> list[Any]:
    """All texts of JSON-like content."""
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return [content] if isinstance(content, str) else [text for part in parts for text in values(part)]


@with_each("stable_audio_open")
def test_stable_audio_is_cut_to_its_length_and_knows_what_to_avoid(adapter: Adapter) -> None:
    parameters = {**PARAMETERS["stable_audio_open"], "negative_prompt": "drums"}
    adapter.ask("first", duration=2.5, parameters=parameters)
    assert soundfile.info(adapter.audio("first")).duration == 2.5
    arrived = adapter.recorded()[-1]
    assert arrived["conditioning"] == [{"prompt": "folk, guitar", "seconds_start": 0, "seconds_total": 2.5}]
    assert arrived["negative"][0]["prompt"] == "drums" and arrived["steps"] == 10


@with_each("musicgen")
def test_musicgen_gets_its_parameters(adapter: Adapter) -> None:
    adapter.ask("first", duration=4.5, parameters={"top_k": 10, "temperature": 0.5, "cfg_coef": 4.0})
    arrived = adapter.recorded()[-1]
    assert (arrived["duration"], arrived["params"]) == (4.5, {"top_k": 10, "temp": 0.5, "cfg_coef": 4.0})
    refused = adapter.ask("second", parameters={"volume": 11})[-1]
    assert "unexpected keyword argument 'volume'" in refused["error"]


@with_each("diffrhythm")
def test_diffrhythm_loads_the_model_that_a_length_needs(adapter: Adapter) -> None:
    adapter.ask("short", duration=95)
    adapter.ask("long", duration=120)
    short, long = adapter.recorded()
    assert (short["model"], short["frames"]) == ("cfm of 2048 frames", 2048)
    assert (long["model"], long["frames"]) == ("cfm of 6144 frames", int(120 * 44100 / 2048))
    assert [len(each["text"]) for each in (short, long)] == [1, 2]


@pytest.mark.parametrize(("seconds", "end"), [(11, "done"), (5, "error")])
@with_each("diffrhythm")
def test_diffrhythm_takes_a_reference_instead_of_the_prompt(adapter: Adapter, seconds: int, end: str) -> None:
    reference = adapter.home / "reference.wav"
    reference.write_bytes(wav_bytes(seconds))
    assert end in adapter.ask("first", reference_file=str(reference))[-1]
    assert [f"the style of {reference}"] * (end == "done") == [each["style"] for each in adapter.recorded()]


@with_each("musicgen", "stable_audio_open")
def test_a_reference_reaches_the_model(adapter: Adapter) -> None:
    reference = adapter.home / "reference.wav"
    reference.write_bytes(wav_bytes(2))
    assert "done" in adapter.ask("first", reference_file=str(reference))[-1]
    assert "error" in adapter.ask("second", reference_file="/no/such/file.wav")[-1]


def test_an_adapter_without_the_files_of_its_model_ends_before_it_is_ready(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, "diffrhythm")
    (folder / "config" / "diffrhythm-1b.json").unlink()
    done = run(folder, str(folder / ".venv/bin/python"), str(RECIPES / "diffrhythm_serve.py"), PYTHONPATH="infer")
    assert done.returncode == 1 and "diffrhythm-1b.json" in done.stdout and "ready" not in done.stdout


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_adapter_is_short(name: str) -> None:
    assert len((RECIPES / f"{name}_serve.py").read_text().splitlines()) <= LONGEST_ADAPTER
