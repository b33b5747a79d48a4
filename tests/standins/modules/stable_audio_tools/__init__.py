"""Stands in for stable-audio-tools: the documented calls, with their signatures."""

import standin


class Model:
    """A model on a device."""

    device = "cpu"

    def to(self, device: str) -> "Model":
        self.device = device
        return self


def get_pretrained_model(name: str) -> tuple[Model, dict[str, int]]:
    """The model and its configuration. Raises OSError for a model whose licence was not accepted."""
    if "gated" in name:
        raise OSError(f"Cannot access gated repo for {name}. You must accept its terms and log in.")
    standin.record(loaded=name)
    print("loading", name)
    return Model(), {"sample_rate": 44100, "sample_size": 2097152}
