"""Makes audio: the workers, the generators, the encoder and the looper."""
