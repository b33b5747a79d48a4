"""Run: one run of a generator, which makes one take, or several at once. It has a work folder with all its files."""

import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from database import to_json
from database.library import NAMES
from files.tags import Tags, comment_of, sung, words_in
from generators import rendered, templates
from generators.orders import Order
from generators.recipe import Recipe
from generators.timed import timed_lines
from models import LARGEST_SEED, Job
from studio.outputs import clean_up
from studio.process import ROOT, Command
from studio.warm import WarmRecipe

ENCODER_SECONDS = 3600.0
TITLE_CHARACTERS = 120
REQUESTED = (  # what a warm process gets, beside the parameters
    *("prompt", "lyrics", "lyrics_file", "duration", "seed", "take", "takes", "output_dir", "reference_file"),
    *("job_id", "metadata"),
)


class Run:
    """What a generator needs for some takes of a job. made: its output folder. tracks: for the encoded files."""

    def __init__(
        self, recipe: Recipe, job: Job, order: Order, folder: Path, takes: list[int], reference: Path | None = None
    ) -> None:
        self.recipe, self.job, self.order, self.folder, self.takes = recipe, job, order, folder, takes
        self.reference = reference
        self.made, self.tracks = folder / "made", folder / "tracks"
        self._lyrics = folder / f"lyrics.{'lrc' if recipe.lyrics.form == 'lrc' else 'txt'}"
        self._metadata = folder / "metadata.json"

    def prepare(self) -> None:
        """Make the folder and write the files that the generator reads. Remove what an earlier run left."""
        for folder in (self.folder, self.made, self.tracks):
            folder.mkdir()
        self._lyrics.write_text(self.order.lyrics, "utf-8", "replace", newline="\n")
        self._metadata.write_text(to_json(self.job.metadata), "utf-8", "replace")
        rendered.write(self.recipe, self.folder, [self.values(take) for take in self.takes])
        clean_up(self.recipe)

    def words(self) -> list[str]:
        """The command line; for a warm generator, that of its process."""
        return templates.fill(self.recipe.command or self.recipe.serve or [], self.values(self.takes[0]))

    def command(self, seconds: float, locks: Collection[int] = ()) -> Command:
        """The command, which may take these seconds. locks: as in Command."""
        folder = self.recipe.folder or self.folder
        return Command(self.words(), folder, seconds, self.environment(), locks, self.recipe.failed)

    def encoder(self, sources: Collection[Path], made: Mapping[str, Any]) -> Command:
        """The command that encodes these files of the generator, with tags. made: as in made_by()."""
        listed = self.folder / "sources.json"
        listed.write_text(
            json.dumps([(str(path), self.tags(number, made).to_json()) for number, path in enumerate(sources)])
        )
        words = [sys.executable, "-m", "studio.encoder", str(self.tracks), str(listed)]
        return Command(words, ROOT, ENCODER_SECONDS, says_why=True)

    def encoded(self) -> list[dict[str, Any]]:
        """Number, duration and files of each track, as the encoder has listed them. The list is removed."""
        listed = self.tracks / "tracks.json"
        tracks: list[dict[str, Any]] = json.loads(listed.read_text())
        listed.unlink()
        return tracks

    def warm_recipe(self) -> WarmRecipe:
        """How the warm process of the recipe is started: the same for all jobs."""
        recipe = self.recipe
        return WarmRecipe(
            name=recipe.name,
            command=tuple(templates.fill(recipe.serve or [], {})),
            folder=recipe.folder or self.folder,
            environment=self.environment(),
            gpu=recipe.gpu or "",
            idle_seconds=recipe.idle_seconds,
        )

    def request(self) -> dict[str, Any]:
        """What a warm process is asked for."""
        values = self.values(self.takes[0])
        return {**{name: values[name] for name in REQUESTED}, "parameters": self.order.parameters}

    def environment(self) -> dict[str, str]:
        """The variables that the recipe adds to the environment."""
        values = self.values(self.takes[0])
        return {name: word.text(values) for name, word in self.recipe.env.items() if word.is_used(values)}

    def values(self, take: int) -> Mapping[str, Any]:
        """The values of all placeholders for a take."""
        return {
            **self.order.values(),
            "lyrics_file": str(self._lyrics),
            "metadata_file": str(self._metadata),
            "output_dir": str(self.made),
            "reference_file": str(self.reference) if self.reference else None,
            "job_id": self.job.job_id,
            "seed": self.seed_of(take),
            "take": take,
            "takes": len(self.takes),
            **rendered.paths(self.recipe, self.folder),
        }

    def seed_of(self, take: int) -> int:
        """The seed of a take: that of the job for the first one, and one more for each following take."""
        return (int(self.job.seed or 0) + take - 1) % (LARGEST_SEED + 1)

    def take_of_file(self, number: int) -> int:
        """The take that the file with this number (from 0) belongs to. More files than takes belong to the last one."""
        return self.takes[min(number, len(self.takes) - 1)]

    def seed_of_file(self, number: int) -> int | None:
        """The seed of the take that a file belongs to; None if the generator takes no seed."""
        return self.seed_of(self.take_of_file(number)) if self.recipe.is_seeded else None

    def made_by(self, number: int, made: Mapping[str, Any]) -> dict[str, Any]:
        """The provenance of a file. made: what all files of the run have in common."""
        recipe = self.recipe
        return {"generator": recipe.name, **made, "seed": self.seed_of_file(number), "licence": recipe.licence}

    def tags(self, number: int, made: Mapping[str, Any]) -> Tags:
        """The tags of a file."""
        order, lyrics = self.order, self.job.metadata.get("lyrics")
        names = (order.metadata.get(key) for key in NAMES)
        return Tags(
            title=next(filter(_is_text, names), None) or " ".join(order.prompt.split())[:TITLE_CHARACTERS],
            take=self.take_of_file(number),
            takes=self.job.takes,
            comment=comment_of(self.made_by(number, made)),
            **words_in(order.metadata),
            **sung(lyrics, timed_lines(lyrics, order.lyrics, order.seconds)),
        )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
