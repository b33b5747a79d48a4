"""Stands in for audiocraft.data.audio: writes a file and adds the suffix."""

from pathlib import Path

import soundfile
import torch


def audio_write(
    stem_name: str | Path, wav: torch.Tensor, sample_rate: int, format: str = "wav", mp3_rate: int = 320,
    ogg_rate: int | None = None, normalize: bool = True, strategy: str = "peak", peak_clip_headroom_db: float = 1,
    rms_headroom_db: float = 18, loudness_headroom_db: float = 14, loudness_compressor: bool = False,
    log_clipping: bool = True, make_parent_dir: bool = True, add_suffix: bool = True,
) -> Path:  # fmt: skip
    """The path of the file that was written."""
    assert wav.dtype is torch.float32, "wav is not floating point"
    if wav.dim() > 2:
        raise ValueError("Input wav should be at most 2 dimension.")
    path = Path(f"{stem_name}.{format}" if add_suffix else stem_name)
    soundfile.write(str(path), wav.array.T, sample_rate, format=format.upper())
    return path
