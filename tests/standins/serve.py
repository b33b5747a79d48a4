"""A stand-in for a warm generator: loads once, then makes a WAV for each request.

The environment steers it: SERVE_LOAD and SERVE_MAKE are the seconds it takes to load and to make one piece,
SERVE_RECORD is a file that gets a line for each load and each request, and SERVE_BEHAVIOUR is what goes wrong. The
behaviour can also be the prompt of a request.
"""

import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

RATE = 8000
GARBAGE = ("[1, 2]", "7", "{", '{"id": "another", "done": true}', '{"id": [], "progress": 7}', "\0\xff", "[" * 50_000)
FORK = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"


def main() -> None:
    print("loading the model", flush=True)
    if os.environ.get("SERVE_BEHAVIOUR") == "die while loading":
        sys.exit("CUDA out of memory")
    time.sleep(float(os.environ.get("SERVE_LOAD", 0)))
    record("loaded")
    say(ready=True)
    for line in sys.stdin:
        order = json.loads(line)
        record(f"asked {order['prompt'][:40]}")
        answer(order)


def answer(order: dict[str, Any]) -> None:
    prompt = order["prompt"]
    behaviour = prompt if prompt in BEHAVIOURS else os.environ.get("SERVE_BEHAVIOUR", "")
    BEHAVIOURS.get(behaviour, lambda request_id: None)(order["id"])
    if behaviour == "refuse":
        return
    print(f"making {prompt[:40]}", file=sys.stderr, flush=True)
    for percent in (0, 50, 100):
        say(id=order["id"], progress=percent, stage="generating_audio")
        time.sleep(float(os.environ.get("SERVE_MAKE", 0)) / 3)
    write_song(Path(order["output_dir"], "song.wav"))
    say(id=order["id"], done=True)


def die(request_id: str) -> None:
    print("CUDA error: an illegal memory access was encountered", file=sys.stderr, flush=True)
    os._exit(3)


def refuse(request_id: str) -> None:
    say(id=request_id, error="the lyrics have no [verse]")


def hang(request_id: str) -> None:
    say(id=request_id, progress=10)
    time.sleep(600)


def be_stubborn(request_id: str) -> None:
    ignore_sigterm(request_id)
    hang(request_id)


def ignore_sigterm(request_id: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def fork(request_id: str) -> None:
    subprocess.Popen([sys.executable, "-c", FORK, os.getcwd()], start_new_session=True)
    record(f"forked {os.getpid()}")
    be_stubborn(request_id)


def print_garbage(request_id: str) -> None:
    for line in GARBAGE:
        print(line, flush=True)
    say(id=request_id, progress=True, stage="lunch")
    say(id=request_id, progress=1e300, stage=["generating_audio"])


def chatter(request_id: str) -> None:
    for _ in range(1000):
        sys.stdout.write(("y" * 99 + "\n") * 1000)


def print_a_huge_line(request_id: str) -> None:
    for _ in range(1000):
        sys.stdout.write('{"' * 50_000)
    print(flush=True)


BEHAVIOURS = {
    "refuse": refuse,
    "die": die,
    "hang": hang,
    "stubborn": be_stubborn,
    "deaf": ignore_sigterm,
    "fork": fork,
    "garbage": print_garbage,
    "chatter": chatter,
    "huge": print_a_huge_line,
}


def write_song(path: Path) -> None:
    with wave.open(str(path), "wb") as song:
        song.setparams((1, 2, RATE, 0, "NONE", ""))
        song.writeframes(bytes(range(256)) * (RATE // 64))


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def record(line: str) -> None:
    if path := os.environ.get("SERVE_RECORD"):
        with Path(path).open("a") as file:
            file.write(f"{line}\n")


if __name__ == "__main__":
    main()
