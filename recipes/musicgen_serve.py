"""Keeps MusicGen loaded and makes one song for each JSON line. Its argument is the name of a model."""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import torchaudio
from audiocraft.data.audio import audio_write
from audiocraft.models import MusicGen

ANSWERS = sys.stdout


def say(**answer: Any) -> None:
    """Write one answer."""
    print(json.dumps(answer), file=ANSWERS, flush=True)


def make(model: Any, request: dict[str, Any]) -> None:
    """Write the song of a request into its folder."""
    steps = request["duration"] * model.frame_rate

    def report(step: int, _: int) -> None:
        if step % 25 == 0:
            say(id=request["id"], progress=min(99, int(100 * step / steps)), stage="generating_audio")

    torch.manual_seed(request["seed"])
    model.set_generation_params(duration=request["duration"], **request["parameters"])
    model.set_custom_progress_callback(report)
    if request.get("reference_file"):
        melody, rate = torchaudio.load(request["reference_file"])
        songs = model.generate_with_chroma([request["prompt"]], melody, rate, progress=True)
    else:
        songs = model.generate([request["prompt"]], progress=True)
    path = Path(request["output_dir"]) / "song"
    audio_write(path, songs[0].cpu(), model.sample_rate, strategy="loudness", loudness_compressor=True)


def main() -> None:
    """Answer requests until standard input ends; an error does not end the process."""
    sys.stdout = sys.stderr  # what a library prints is no answer
    model = MusicGen.get_pretrained(sys.argv[1])
    say(ready=True)
    for line in sys.stdin.buffer:
        request: dict[str, Any] = {}
        try:
            request = dict(json.loads(line))
            make(model, request)
            say(id=request["id"], done=True)
        except Exception as error:
            traceback.print_exc()
            say(id=request.get("id"), error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
