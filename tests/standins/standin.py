"""What the stand-ins share: what arrived, trouble, progress lines as tqdm prints them, and short real audio.

The environment steers them. STANDIN_RECORD names a file that gets what arrived as JSON; if it is a folder, each run
adds a file. STANDIN_BEHAVIOUR makes a stand-in misbehave. STANDIN_SECONDS is how long it pretends to work.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RATE = 44100
LEVEL = 20_000
NOT_AUDIO = b"this is no audio, whatever its name says\n" * 100
WRITES_NO_AUDIO: dict[str, list[bytes]] = {"nothing": [], "empty": [b""], "text": [NOT_AUDIO]}


def record(**facts: Any) -> None:
    """Write what arrived: the arguments, the current folder, the names in the environment, the process, and facts."""
    if not (name := os.environ.get("STANDIN_RECORD")):
        return
    path = Path(name) / f"{time.time_ns()}-{os.getpid()}.json" if Path(name).is_dir() else Path(name)
    arrived = {"argv": sys.argv[1:], "cwd": os.getcwd(), "env": sorted(os.environ), "pid": os.getpid(), **facts}
    path.write_text(json.dumps(arrived, ensure_ascii=False), "utf-8")


def behaviour() -> str:
    """What STANDIN_BEHAVIOUR says; empty for a stand-in that works."""
    return os.environ.get("STANDIN_BEHAVIOUR", "")


def misbehave(output: Path) -> None:
    """Do what STANDIN_BEHAVIOUR says. output: the file that a run in order would write."""
    kind = behaviour()
    if kind == "fail":
        print("CUDA out of memory", flush=True)
        sys.exit(1)
    if kind == "traceback":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if kind == "chatter":
        chatter()
    if kind in WRITES_NO_AUDIO:
        for content in WRITES_NO_AUDIO[kind]:
            output.write_bytes(content)
        sys.exit(0)
    if kind in ("hang", "stubborn", "forks"):
        never_end(kind, output)


def chatter() -> None:
    """Print a hundred megabytes, then fail."""
    for _ in range(100):
        sys.stdout.write(("y" * 99 + "\n") * 10_486)
    sys.exit("that was a hundred megabytes")


def never_end(kind: str, output: Path) -> None:
    """Run for minutes: stubborn ignores SIGTERM, forks leaves a child in a session of its own."""
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "forks":
        child = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)", str(output.parent)]
        subprocess.Popen(child, start_new_session=True)
    print("10%", flush=True)
    time.sleep(600)


def work(share: float = 1.0) -> None:
    """Take this share of STANDIN_SECONDS and print nothing."""
    time.sleep(float(os.environ.get("STANDIN_SECONDS", "0.2")) * share)


def steps(total: int, label: str = "", share: float = 1.0) -> Iterator[int]:
    """The numbers from 1 to total, with a bar of tqdm on stderr; it takes this share of STANDIN_SECONDS."""
    for number in range(total + 1):
        percent = 100 * number // total
        bar = f"{percent:3d}%|{'█' * (percent // 10):10}| {number}/{total} [00:01<00:00,  7.52it/s]"
        print(f"\r{label and label + ': '}{bar}", end="", file=sys.stderr, flush=True)
        if number < total:
            work(share / total)
            yield number + 1
    print(file=sys.stderr, flush=True)


def counts(total: int, share: float = 1.0) -> Iterator[int]:
    """The numbers from 1 to total, with a bar of tqdm that knows no total."""
    for number in range(1, total + 1):
        work(share / total)
        print(f"\r{number}it [00:01,  7.52it/s]", end="", file=sys.stderr, flush=True)
        yield number
    print(file=sys.stderr, flush=True)


def run_through(bar: Iterator[int]) -> None:
    """Work to the end of a bar."""
    for _ in bar:
        pass


def write_song(path: Path | str, seconds: float = 2, rate: int = RATE, pitch: int = 0) -> None:
    """Write a steady tone in the format of the name; silence with STANDIN_BEHAVIOUR=silent. pitch: 0, 1, 2 …"""
    level = 0 if behaviour() == "silent" else LEVEL
    period = 60 + pitch % 40  # frames
    tone = array("h")
    for frame in range(period):
        value = int(level * math.sin(2 * math.pi * frame / period))
        tone.extend((value, value // 2))
    frames = tone * (int(seconds * rate) // period + 1)
    content = frames[: 2 * int(seconds * rate)].tobytes()
    if str(path).endswith(".wav"):
        with wave.open(str(path), "wb") as song:
            song.setparams((2, 2, rate, 0, "NONE", ""))
            song.writeframes(content)
        return
    import numpy
    import soundfile

    soundfile.write(str(path), numpy.frombuffer(content, "<i2").reshape(-1, 2), rate)
