"""Stands in for DiffRhythm's infer/infer.py where there is no GPU: its command line, its lyrics parser, real audio.

In a folder infer/, as in DiffRhythm's repository, it needs the files of the repository in the current folder.
STANDIN_NAMING=old writes a timestamped file as older versions do. STANDIN_WHILE names a file: the stand-in does
not finish while it exists. standin.py has the other variables.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))  # tests import this file, too
import standin
from infer_utils import get_negative_style_prompt, prepare_model, sung_lines

SHORT = 95  # seconds; this length selects the base model, every other length the full model
LONG = 285  # seconds
BASE_FRAMES, FULL_FRAMES = 2048, 6144
IN_REPOSITORY = Path(__file__).parent.name == "infer"
RATE = 8000


def main() -> None:
    if IN_REPOSITORY:
        print("Current working directory:", os.getcwd(), flush=True)
    options = arguments()
    assert options.ref_prompt or options.ref_audio_path, "either ref_prompt or ref_audio_path should be provided"
    assert not (options.ref_prompt and options.ref_audio_path), "only one of them should be provided"
    if not SHORT <= options.audio_length <= LONG:
        raise ValueError(f"Invalid audio_length: {options.audio_length}.")
    if IN_REPOSITORY:
        prepare_model(BASE_FRAMES if options.audio_length == SHORT else FULL_FRAMES, "cpu")
        get_negative_style_prompt("cpu")
    lyrics = Path(options.lrc_path).read_text(encoding="utf-8") if options.lrc_path else ""
    standin.record(lyrics=lyrics, sung=sung_lines(lyrics, options.audio_length))
    options.output_dir.mkdir(parents=True, exist_ok=True)
    standin.misbehave(options.output_dir / "output.wav")
    work()
    for number in range(1 if IN_REPOSITORY else options.batch_infer_num):  # of a batch, one song is kept
        standin.write_song(options.output_dir / name(number), 3, RATE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lrc-path")
    parser.add_argument("--ref-prompt")
    parser.add_argument("--ref-audio-path")
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--audio-length", type=int, default=SHORT)
    parser.add_argument("--output-dir", type=Path, default=Path("infer/example/output"))
    parser.add_argument("--edit", action="store_true")
    parser.add_argument("--ref-song")
    parser.add_argument("--edit-segments")
    parser.add_argument("--batch-infer-num", type=int, default=1)
    return parser.parse_args()


def work() -> None:
    print("Loading checkpoint shards: 100%", flush=True)
    if IN_REPOSITORY:
        standin.work()  # the real one prints nothing meanwhile
    else:
        print("encoding the prompt", flush=True)
        standin.run_through(standin.steps(32))
    while os.path.exists(os.environ.get("STANDIN_WHILE", "")):
        time.sleep(0.05)
    print("inference cost 12.34 seconds", flush=True)


def name(number: int) -> str:
    old = os.environ.get("STANDIN_NAMING") == "old"
    return f"2026-11-22_19-00-0{number}.wav" if old else f"output{number or ''}.wav"


def inference(
    cfm_model: Any, vae_model: Any, cond: Any, text: Any, duration: int, style_prompt: Any, negative_style_prompt: Any,
    start_time: Any, pred_frames: Any, batch_infer_num: int, song_duration: Any, chunked: bool = False,
) -> list[Any]:  # fmt: skip
    """The songs of a batch, each 16-bit; for a program that imports this module as DiffRhythm's."""
    import torch

    standin.record(text=text, frames=duration, style=style_prompt, chunked=chunked, model=cfm_model)
    if "fail" in str(style_prompt):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return [torch.tone(2, 3 * 44100, peak=standin.LEVEL) for _ in range(batch_infer_num)]


if __name__ == "__main__":
    main()
