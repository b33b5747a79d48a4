"""Stands in for DiffRhythm's infer/infer.py where there is no GPU: its exact command line, its output, real audio.

STANDIN_NAMING=old writes a timestamped file as older versions do. STANDIN_RECORD names a file that gets the arguments
as they arrived. STANDIN_BEHAVIOUR makes it misbehave; STANDIN_SECONDS is how long it pretends to think.
"""

import argparse
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import wave
from pathlib import Path

RATE = 8000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lrc-path")
    parser.add_argument("--ref-prompt")
    parser.add_argument("--audio-length", type=int, choices=range(95, 286))
    parser.add_argument("--output-dir", type=Path)
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--batch-infer-num", type=int, default=1)
    asked = parser.parse_args()
    if record := os.environ.get("STANDIN_RECORD"):
        lyrics = Path(asked.lrc_path).read_text()
        Path(record).write_text(json.dumps({"argv": sys.argv[1:], "lyrics": lyrics, "env": sorted(os.environ)}))
    behave(os.environ.get("STANDIN_BEHAVIOUR", ""), asked.output_dir)
    think(float(os.environ.get("STANDIN_SECONDS", "0.2")))
    for number in range(asked.batch_infer_num):
        write_song(asked.output_dir / name(number), 3)


def think(seconds: float) -> None:
    print("Loading checkpoint shards: 100%", flush=True)
    print("encoding the prompt", flush=True)
    for step in range(1, 33):
        print(f"\r{100 * step // 32}%|###| {step}/32 [00:01<00:00]", end="", flush=True)
        time.sleep(seconds / 32)
    print("\ninference cost 12.34 seconds", flush=True)


def name(number: int) -> str:
    old = os.environ.get("STANDIN_NAMING") == "old"
    return f"2026-11-22_19-00-0{number}.wav" if old else f"output{number or ''}.wav"


def write_song(path: Path, seconds: int) -> None:
    with wave.open(str(path), "wb") as song:
        song.setparams((2, 2, RATE, 0, "NONE", ""))
        for frame in range(seconds * RATE):
            level = int(20_000 * math.sin(frame / 20))
            song.writeframesraw(struct.pack("<hh", level, -level))


def behave(behaviour: str, output: Path) -> None:
    if behaviour == "fail":
        print("CUDA out of memory", flush=True)
        sys.exit(1)
    if behaviour == "chatter":
        for _ in range(100):
            sys.stdout.write(("y" * 99 + "\n") * 10_486)
        sys.exit("that was a hundred megabytes")
    files = {"nothing": [], "empty": [b""], "text": [b"this is no audio, whatever its name says\n" * 100]}
    if behaviour in files:
        for content in files[behaviour]:
            (output / "output.wav").write_bytes(content)
        sys.exit(0)
    if behaviour in ("hang", "stubborn", "forks"):
        never_end(behaviour, output)


def never_end(behaviour: str, output: Path) -> None:
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "forks":
        child = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)", str(output)]
        subprocess.Popen(child, start_new_session=True)
    print("10%", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
