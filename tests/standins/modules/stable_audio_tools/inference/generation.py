"""Stands in for stable_audio_tools.inference.generation: audio of the full length, whatever seconds_total is."""

import random
import sys
from collections.abc import Callable
from typing import Any

import standin
import torch

SAMPLER = {"sampler_type", "sigma_min", "sigma_max", "rho", "cfg_interval", "scale_phi"}


def generate_diffusion_cond(
    model: Any, steps: int = 250, cfg_scale: float = 6, conditioning: list[dict[str, Any]] | None = None,
    conditioning_tensors: Any = None, negative_conditioning: list[dict[str, Any]] | None = None,
    negative_conditioning_tensors: Any = None, batch_size: int = 1, sample_size: int = 2097152,
    sample_rate: int = 48000, seed: int = -1, device: str = "cuda", init_audio: tuple[int, Any] | None = None,
    init_noise_level: float = 1.0, return_latents: bool = False,
    callback: Callable[[dict[str, Any]], None] | None = None, **sampler: Any,
) -> torch.Tensor:  # fmt: skip
    """Audio (batch, channels, sample_size). Prints the seed alone on a line."""
    seed = seed if seed != -1 else random.randrange(2**32 - 1)
    print(seed)
    torch.manual_seed(seed)
    assert conditioning is not None, "Must provide either conditioning or conditioning_tensors"
    assert not sampler.keys() - SAMPLER and device == model.device, "Expected all tensors to be on the same device"
    standin.record(conditioning=conditioning, negative=negative_conditioning, steps=steps, reference=bool(init_audio))
    if "fail" in conditioning[0]["prompt"]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    for step in range(steps):
        print(f"\r{100 * step // steps:3d}%|# | {step}/{steps} [00:01<00:00]", end="", file=sys.stderr)
        if callback:
            callback({"i": step, "x": None, "sigma": 0.5, "sigma_hat": 0.5, "denoised": None})
    song = torch.tone(2, sample_size, peak=0.4)
    return torch.Tensor([song.array] * batch_size)
