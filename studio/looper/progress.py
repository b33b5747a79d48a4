"""Progress of the looper: prints how much of the whole work is done, as lines such as `EXPORTING 42%`."""

import time
from collections.abc import Callable

REPORT_SECONDS = 0.3

Report = Callable[[float], None]  # takes the share that is done, 0 to 1


class Progress:
    """Prints the stage and the percentage a few times a second and at the end; the percentage never falls.

    seconds: the estimated seconds of each stage, in the order of the stages.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.stage, self.percent, self.printed = seconds, "", -1, 0.0

    def of(self, stage: str, start: float = 0.0, stop: float = 1.0) -> Report:
        """A function that reports the progress of one part of a stage; start and stop are shares of the stage."""
        return lambda share: self._report(stage, start + (stop - start) * share)

    def _report(self, stage: str, share: float) -> None:
        stages = list(self.seconds)
        before = sum(self.seconds[name] for name in stages[: stages.index(stage)])
        done = (before + self.seconds[stage] * share) / sum(self.seconds.values())
        percent, now = max(self.percent, int(100 * done + 1e-6)), time.monotonic()
        is_due = percent == 100 or now - self.printed > REPORT_SECONDS
        if stage != self.stage or (percent > self.percent and is_due):
            print(f"{stage} {percent}%", flush=True)
            self.stage, self.percent, self.printed = stage, percent, now
