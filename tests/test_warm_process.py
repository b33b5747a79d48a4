"""A warm generator: loaded once, asked often, read whatever it prints, and never left running."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import soundfile

from studio.messages import Message, read_message
from studio.output import LOG_BYTES
from studio.supervised import ERRORS, OUTPUT, Supervised
from studio.warm_process import GeneratorFailed, WarmProcess
from tests.conftest import wait_for
from tests.documents import ROOT, blocks
from tests.warm import ask, order, recipe, records, serving, start
from tests.workers import running_in

TALKATIVE = """
import json, os, sys, time
for line in sys.stdin:
    if os.path.exists("go"):
        print("ready again")
    print(json.dumps({"id": json.loads(line)["id"], "done": True}))
    while not os.path.exists("go"):
        time.sleep(0.01)
    if not os.path.exists("printed"):
        print("x" * int(sys.argv[1]))
        open("printed", "w").close()
"""

BROKEN = """
import sys
print("done")
print("broken", file=sys.stderr)
open("end", "w").close()
input()
"""

pytestmark = pytest.mark.usefixtures("nothing_is_left_running")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[WarmProcess]:
    """The stand-in."""
    made = start(tmp_path)
    yield made
    made.close()


def test_ten_requests_load_once(process: WarmProcess, tmp_path: Path) -> None:
    for number in range(10):
        messages = ask(process, tmp_path, f"song {number}")
        assert [message.percent for message in messages if message.percent is not None] == [0, 50, 100]
    assert records(tmp_path) == ["loaded", *(f"asked song {number}" for number in range(10))]
    assert (tmp_path / "song.wav").stat().st_size > 10_000


def test_loading_is_a_stage_of_the_first_request(process: WarmProcess, tmp_path: Path) -> None:
    first, second = ([message.stage for message in ask(process, tmp_path) if message.stage] for _ in range(2))
    assert first == ["loading_model", "preparing_prompt", *["generating_audio"] * 3]
    assert second == ["preparing_prompt", *["generating_audio"] * 3]


def test_a_log_has_what_was_printed_for_its_request(process: WarmProcess, tmp_path: Path) -> None:
    ask(process, tmp_path, "one")
    (tmp_path / "log").rename(tmp_path / "first")
    messages = ask(process, tmp_path, "two")
    assert set((tmp_path / "first").read_text().splitlines()) == {"loading the model", "making one"}
    assert (tmp_path / "log").read_text() == "making two\n"
    assert [message.text for message in messages if message.text] == ["making two"]


def test_an_error_costs_the_request_and_the_process_stays(process: WarmProcess, tmp_path: Path) -> None:
    with pytest.raises(GeneratorFailed, match=r"^the lyrics have no \[verse\]$"):
        ask(process, tmp_path, "refuse")
    assert process.is_alive and ask(process, tmp_path)
    assert records(tmp_path).count("loaded") == 1


def test_a_text_that_means_failure_fails_the_request(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    process = WarmProcess(list(made.command), tmp_path, made.environment, failed=["making bad"])
    with pytest.raises(GeneratorFailed, match="^the generator failed: making bad songs\n"):
        ask(process, tmp_path, "bad songs")
    assert ask(process, tmp_path, "folk")
    process.close()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [("", "CUDA error: an illegal memory access"), ("die while loading", "ended with code 1: .*CUDA out of memory")],
)
def test_a_process_that_dies_says_its_last_lines(tmp_path: Path, behaviour: str, error: str) -> None:
    process = start(tmp_path, SERVE_BEHAVIOUR=behaviour)
    with pytest.raises(GeneratorFailed, match=f"(?s)^the generator ended with code .: .*{error}|{error}"):
        ask(process, tmp_path, "die")
    assert not process.is_alive
    assert "CUDA" in (tmp_path / "log").read_text()


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = WarmProcess(["no-such-program"], tmp_path)
    with pytest.raises(GeneratorFailed, match="code 127: cannot start no-such-program: No such file"):
        ask(process, tmp_path)


def test_a_process_that_died_between_two_requests_is_not_alive(process: WarmProcess, tmp_path: Path) -> None:
    ask(process, tmp_path)
    generator = serving(process.pid)
    generator.kill()
    generator.wait(10)
    assert not process.is_alive  # at once, before the supervisor has noticed


@pytest.mark.parametrize("prompt", ["hang", "stubborn", "fork"])
def test_a_cancel_ends_the_process_and_its_children(process: WarmProcess, tmp_path: Path, prompt: str) -> None:
    request = process.request(order(tmp_path, prompt), tmp_path / "log", lambda: is_working, 60)
    is_working = False
    for message in request:
        is_working = is_working or message.percent == 10
    assert is_working and not process.is_alive
    assert not running_in(tmp_path)


def test_a_request_that_takes_too_long_is_stopped(process: WarmProcess, tmp_path: Path) -> None:
    ask(process, tmp_path)
    with pytest.raises(TimeoutError):
        ask(process, tmp_path, "hang", 0.2)
    assert not running_in(tmp_path)


def test_a_request_that_is_given_up_ends_the_process(process: WarmProcess, tmp_path: Path) -> None:
    for _ in process.request(order(tmp_path, "hang"), tmp_path / "log", lambda: False, 60):
        break
    assert not process.is_alive


def test_a_cancel_reaches_a_process_that_reads_no_input(tmp_path: Path) -> None:
    process, until = start(tmp_path, SERVE_LOAD="600"), time.monotonic() + 0.5
    request = process.request(order(tmp_path, "x" * 1_000_000), tmp_path / "log", lambda: time.monotonic() > until, 60)
    assert [message.stage for message in request if message.stage] == ["loading_model"]
    assert not process.is_alive


def test_a_long_request_arrives_whole(process: WarmProcess, tmp_path: Path) -> None:
    prompt = 'é\n\r"{}\0🎧' * 50_000
    ask(process, tmp_path, prompt)
    assert "".join(records(tmp_path)).startswith("loadedasked é")


@pytest.mark.parametrize("prompt", ["garbage", "chatter", "huge"])
def test_what_is_no_message_is_kept_as_log(process: WarmProcess, tmp_path: Path, prompt: str) -> None:
    before = psutil.Process().memory_info().rss
    messages = ask(process, tmp_path, prompt)
    assert [message.percent for message in messages if message.percent is not None] == [0, 50, 100]
    assert psutil.Process().memory_info().rss - before < 50_000_000
    assert 0 < (tmp_path / "log").stat().st_size <= LOG_BYTES + 100


@pytest.mark.parametrize("length", [100, 500_000])
def test_what_is_printed_between_two_requests_is_dropped(tmp_path: Path, length: int) -> None:
    process = WarmProcess([sys.executable, "-c", TALKATIVE, str(length), str(tmp_path)], tmp_path)
    ask(process, tmp_path)
    (tmp_path / "go").touch()
    if length > 65_536:  # more than a pipe holds
        wait_for(lambda: process.drain() or (tmp_path / "printed").exists(), 20)
    wait_for(lambda: (tmp_path / "printed").exists(), 20)
    assert ask(process, tmp_path)[-1].text == "ready again"
    assert (tmp_path / "log").read_text() == "ready again\n"
    process.close()


def test_the_example_of_the_document_serves_requests(tmp_path: Path) -> None:
    [example] = [block for block in blocks("python", ROOT / "docs" / "generators.md") if "ready=True" in block.text]
    process = WarmProcess([sys.executable, "-c", example.text, str(tmp_path)], tmp_path)
    fields = {**order(tmp_path), "duration": 2, "seed": 7}
    for _ in range(2):
        messages = list(process.request(fields, tmp_path / "log", lambda: False, 60))
        assert [message.percent for message in messages if message.percent is not None] == [0, 50]
    assert soundfile.info(tmp_path / "tone.wav").duration == 2
    with pytest.raises(GeneratorFailed, match="^KeyError: 'seed'$"):
        list(process.request({**order(tmp_path), "duration": 1}, tmp_path / "log", lambda: False, 60))
    process.close()


LINES = [
    (b'{"ready": true}', Message(stage="preparing_prompt")),
    (b'{"id": "a", "progress": 12.7}\r\n', Message(12)),
    (b' {"id": "a", "stage": "exporting", "more": 1}', Message(stage="exporting")),
    (b'{"id": "a", "done": true, "progress": 3}', Message(is_last=True)),
    (b'{"id": "a", "error": {"code": 1}}', Message(is_last=True, error='{"code": 1}')),
    (b'{"id": "a", "error": " \\n "}', Message(is_last=True, error="the generator failed and did not say why")),
    (b'{"id": "a", "done": false}', None),
    (b'{"id": "a", "progress": 101}', None),
    (b'{"id": "a", "progress": NaN}', None),
    (b'{"id": "a", "progress": true}', None),
    (b'{"id": "a", "stage": "completed"}', None),
    (b'{"id": "b", "done": true}', None),
    (b'{"id": null, "done": true}', None),
    (b'["ready"]', None),
    (b'{"a":' * 10_000, None),
    (b'{"id": "a", "progress": ' + b"9" * 9_999 + b"}", None),
    (b"\xff\xfe", None),
]


@pytest.mark.parametrize(("line", "message"), LINES)
def test_a_line_is_a_message_or_log(line: bytes, message: Message | None) -> None:
    assert read_message(line, "a") == message
    assert read_message(line, None) in (None, Message(stage="preparing_prompt"))


def test_errors_are_read_before_the_output_that_came_with_them(tmp_path: Path) -> None:
    command = Supervised([sys.executable, "-c", BROKEN], tmp_path, talks=True)
    wait_for(lambda: (tmp_path / "end").exists(), 20)
    assert command.read(5) == [(ERRORS, b"broken\n"), (OUTPUT, b"done\n")]
    command.close()
