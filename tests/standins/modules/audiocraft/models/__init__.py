"""Stands in for audiocraft.models: MusicGen."""

from collections.abc import Callable
from typing import Any

import standin
import torch

Progress = Callable[[int, int], None]


class MusicGen:
    """A loaded model: mono audio of 32 kHz, 50 tokens a second."""

    sample_rate, frame_rate, max_duration = 32000, 50.0, 30.0

    def __init__(self, name: str) -> None:
        self.name = name
        self._progress_callback: Progress | None = None
        self.set_generation_params(duration=15)

    @staticmethod
    def get_pretrained(name: str = "facebook/musicgen-melody", device: Any = None) -> "MusicGen":
        standin.record(loaded=name)
        print("loading", name)
        return MusicGen(name)

    def set_generation_params(
        self, use_sampling: bool = True, top_k: int = 250, top_p: float = 0.0, temperature: float = 1.0,
        duration: float = 30.0, cfg_coef: float = 3.0, cfg_coef_beta: float | None = None,
        two_step_cfg: bool = False, extend_stride: float = 18,
    ) -> None:  # fmt: skip
        assert extend_stride < self.max_duration, "Cannot stride by more than max generation duration."
        self.duration = duration
        self.generation_params = {"top_k": top_k, "temp": temperature, "cfg_coef": cfg_coef}

    def set_custom_progress_callback(self, progress_callback: Progress | None = None) -> None:
        self._progress_callback = progress_callback

    def generate(self, descriptions: list[str], progress: bool = False, return_tokens: bool = False) -> torch.Tensor:
        """Audio (batch, channels, frames)."""
        return self._generate(descriptions, progress, melody_rate=None)

    def _generate(self, descriptions: list[str], progress: bool, melody_rate: int | None) -> torch.Tensor:
        assert isinstance(descriptions, list)
        standin.record(
            descriptions=descriptions, duration=self.duration, params=self.generation_params, melody_rate=melody_rate
        )
        if "fail" in descriptions[0]:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        total = int(self.duration * self.frame_rate)
        for step in range(1, total + 1 if progress else 0):
            if self._progress_callback is not None:
                self._progress_callback(step, total)
            else:
                print(f"{step: 6d} / {total: 6d}", end="\r")
        song = torch.tone(1, int(self.duration * self.sample_rate), peak=0.4)
        return torch.Tensor([song.array] * len(descriptions))

    def generate_with_chroma(
        self, descriptions: list[str], melody_wavs: torch.Tensor, melody_sample_rate: int, progress: bool = False,
        return_tokens: bool = False,
    ) -> torch.Tensor:  # fmt: skip
        if not self.name.endswith(("melody", "melody-large", "style")):
            raise RuntimeError("This model doesn't support melody conditioning. Use the `melody` model.")
        assert melody_wavs.dim() in (2, 3) and melody_sample_rate > 0
        return self._generate(descriptions, progress, melody_sample_rate)
