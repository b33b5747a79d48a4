"""Keeps Stable Audio Open loaded and makes one piece for each JSON line. Its argument is the name of a model."""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import torchaudio
from stable_audio_tools import get_pretrained_model
from stable_audio_tools.inference.generation import generate_diffusion_cond

ANSWERS = sys.stdout
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SAMPLER = {"sampler_type": "dpmpp-3m-sde", "sigma_min": 0.3, "sigma_max": 500}


def say(**answer: Any) -> None:
    """Write one answer."""
    print(json.dumps(answer), file=ANSWERS, flush=True)


def make(model: Any, config: dict[str, Any], request: dict[str, Any]) -> None:
    """Write the piece of a request into its folder, cut to its length: the model makes its full length always."""
    steps, seconds = request["parameters"]["steps"], request["duration"]
    wanted = {"prompt": request["prompt"], "seconds_start": 0, "seconds_total": seconds}
    options = {**SAMPLER, **request["parameters"], "seed": request["seed"], "device": DEVICE}
    report = {"id": request["id"], "stage": "generating_audio"}
    options["callback"] = lambda state: say(**report, progress=99 * (state["i"] + 1) // steps)
    if text := options.pop("negative_prompt", None):
        options["negative_conditioning"] = [{**wanted, "prompt": text}]
    if request.get("reference_file"):
        options["init_audio"] = torchaudio.load(request["reference_file"])[::-1]  # (rate, audio)
    with torch.no_grad():
        pieces = generate_diffusion_cond(model, conditioning=[wanted], sample_size=config["sample_size"], **options)
    piece = pieces[0][:, : int(seconds * config["sample_rate"])].to(torch.float32)
    piece = piece.div(piece.abs().max().clamp(1e-6, 1e6)).clamp(-1, 1).mul(32767).to(torch.int16).cpu()
    torchaudio.save(str(Path(request["output_dir"]) / "piece.wav"), piece, config["sample_rate"])


def main() -> None:
    """Answer requests until standard input ends; an error does not end the process."""
    sys.stdout = sys.stderr  # what a library prints is no answer
    model, config = get_pretrained_model(sys.argv[1])
    model.to(DEVICE)
    say(ready=True)
    for line in sys.stdin.buffer:
        request: dict[str, Any] = {}
        try:
            request = dict(json.loads(line))
            make(model, config, request)
            say(id=request["id"], done=True)
        except Exception as error:
            traceback.print_exc()
            say(id=request.get("id"), error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
