"""Stands in for DiffRhythm's infer/infer.py where there is no GPU: its command line, its lyrics parser, real audio.

STANDIN_RECORD names a file that gets the arguments, the lyrics file, and the lines that DiffRhythm would sing.
STANDIN_NAMING=old writes a timestamped file as older versions do. STANDIN_BEHAVIOUR makes it misbehave.
STANDIN_SECONDS is how long it pretends to work.
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
BASE_MODEL = 95  # seconds; this length selects the base model, every other length the full model
BASE_FRAMES_SECONDS = 2048 * 2048 / 44100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lrc-path")
    parser.add_argument("--ref-prompt")
    parser.add_argument("--audio-length", type=int, choices=range(95, 286))
    parser.add_argument("--output-dir", type=Path)
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--batch-infer-num", type=int, default=1)
    options = parser.parse_args()
    assert options.ref_prompt, "either ref_prompt or ref_audio_path should be provided"
    if path := os.environ.get("STANDIN_RECORD"):
        Path(path).write_text(json.dumps(record(options)))
    behave(os.environ.get("STANDIN_BEHAVIOUR", ""), options.output_dir)
    work(float(os.environ.get("STANDIN_SECONDS", "0.2")))
    for number in range(options.batch_infer_num):
        write_song(options.output_dir / name(number), 3)


def record(options: argparse.Namespace) -> dict[str, object]:
    lyrics = Path(options.lrc_path).read_text(encoding="utf-8")
    sung = sung_lines(lyrics, options.audio_length)
    return {"argv": sys.argv[1:], "lyrics": lyrics, "sung": sung, "env": sorted(os.environ)}


def sung_lines(lyrics: str, seconds: int) -> list[tuple[float, str]]:
    """The lines that DiffRhythm sings, by its rules: fixed columns, no line after the end, at 95 s not the last."""
    timed = [line for text in lyrics.strip().split("\n") if (line := timed_line(text))]
    end = BASE_FRAMES_SECONDS if seconds == BASE_MODEL else seconds
    before_the_end = [line for line in timed if line[0] < end]
    return before_the_end[:-1] if seconds == BASE_MODEL else before_the_end


def timed_line(text: str) -> tuple[float, str] | None:
    """A time from columns 1 to 8 and the words from column 10; None for a line that DiffRhythm drops."""
    try:
        minutes, seconds = text[1:9].split(":")
        return int(minutes) * 60 + float(seconds), text[10:].strip()
    except ValueError:
        return None


def work(seconds: float) -> None:
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
