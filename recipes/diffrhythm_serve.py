"""Keeps DiffRhythm loaded and makes one song for each JSON line on standard input: the warm protocol.

It runs in DiffRhythm's Python and folder, with PYTHONPATH=infer. Songs of 95 seconds need the base model, longer ones
the full model: one of them is in memory, the base model at first.
"""

import json
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchaudio
from infer import inference
from infer_utils import get_lrc_token, get_negative_style_prompt, get_reference_latent, get_style_prompt, prepare_model

ANSWERS = sys.stdout
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHORT, BASE_FRAMES, FULL_FRAMES = 95, 2048, 6144
loaded: dict[int, Any] = {}  # frames of the model -> (cfm, tokenizer, muq, vae)


def say(**answer: Any) -> None:
    """Write one answer."""
    print(json.dumps(answer), file=ANSWERS, flush=True)


def model_of(frames: int) -> Any:
    """The model for songs of so many frames; another one leaves the memory first."""
    if frames not in loaded:
        loaded.clear()
        loaded[frames] = prepare_model(frames, DEVICE)
    return loaded[frames]


def make(request: dict[str, Any]) -> None:
    """Write the song of a request into its folder."""
    seconds = int(request["duration"])
    frames = BASE_FRAMES if seconds == SHORT else FULL_FRAMES
    report = partial(say, id=request["id"])
    report(progress=0, stage="loading_model")
    cfm, tokenizer, muq, vae = model_of(frames)
    report(progress=5, stage="preparing_prompt")
    text, start, length, share = get_lrc_token(frames, request.get("lyrics") or "", tokenizer, seconds, DEVICE)
    reference = request.get("reference_file")
    style = get_style_prompt(muq, reference) if reference else get_style_prompt(muq, prompt=request["prompt"])
    latent, segments = get_reference_latent(DEVICE, frames, False, None, None, vae)
    report(progress=10, stage="generating_audio")
    torch.manual_seed(request["seed"])
    songs = inference(
        cfm_model=cfm, vae_model=vae, cond=latent, text=text, duration=length, style_prompt=style,
        negative_style_prompt=get_negative_style_prompt(DEVICE), start_time=start, pred_frames=segments,
        batch_infer_num=1, song_duration=share, chunked=request["parameters"].get("chunked", True),
    )  # fmt: skip
    report(progress=95, stage="exporting")
    torchaudio.save(str(Path(request["output_dir"]) / "song.wav"), songs[0], sample_rate=44100)


def main() -> None:
    """Answer requests until standard input ends; an error does not end the process."""
    sys.stdout = sys.stderr  # what a library prints is no answer
    model_of(BASE_FRAMES)
    say(ready=True)
    for line in sys.stdin.buffer:
        request: dict[str, Any] = {}
        try:
            request = dict(json.loads(line))
            make(request)
            say(id=request["id"], done=True)
        except Exception as error:
            traceback.print_exc()
            say(id=request.get("id"), error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
