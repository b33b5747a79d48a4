"""Recipe: one table of generators.toml. It says how a generator is started, what it needs and what it makes."""

import math
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from generators import templates
from generators.parameters import Parameter
from generators.templates import Template
from settings import Duration

AUDIO = ("wav", "flac", "mp3", "ogg", "aif", "aiff")
STATUSES = ("loading_model", "preparing_prompt", "generating_audio", "exporting")
# What a job has for every generator. The parameters and files of a recipe, and metadata.… are placeholders, too.
PLACEHOLDERS = (
    *("prompt", "lyrics", "lyrics_file", "duration", "duration_ms", "segments", "seed", "take", "takes"),
    *("output_dir", "reference_file", "job_id", "metadata_file"),
)
RESERVED = ("lyrics.txt", "lyrics.lrc", "metadata.json", "tags.json", "made", "tracks")  # names in a work folder
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    return text


def _template(text: object) -> Template:
    if not isinstance(text, str):
        raise ValueError("expected a text in quotes")
    return templates.parse(text)


def _home(text: object) -> object:
    return str(Path(text).expanduser()) if isinstance(text, str) and text.startswith("~/") else text


def _glob(pattern: str) -> str:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ValueError("expected a pattern inside {output_dir}, such as audios/*.flac")
    try:
        next(Path("nowhere").glob(pattern), None)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"expected a pattern such as *.wav ({error})") from None
    return pattern


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts or not Path(path).parts:
        raise ValueError("expected a path inside cwd, such as instruction.txt")
    return path


Pattern = Annotated[str, AfterValidator(_pattern)]
Word = Annotated[Template, BeforeValidator(_template), BeforeValidator(_home)]
Words = Annotated[list[Word], Field(min_length=1)]
Glob = Annotated[str, Field(min_length=1), AfterValidator(_glob)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Table(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Seconds(Table):
    """The lengths that a generator makes.

    kind: exact, ceiling (the music may end earlier), segments (as many as needed), or none (its own choice).
    """

    min: float = Field(1, gt=0, le=100_000)
    max: float = Field(600, gt=0, le=100_000)
    usual: float | None = Field(None, gt=0, le=100_000)
    kind: Literal["exact", "ceiling", "segments", "none"] = "exact"
    segment: float = Field(30, gt=0, le=100_000)
    whole: bool = True

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if not self.min <= self.default <= self.max:
            raise ValueError(f"expected min <= usual <= max, but they are {self.min:g}, {self.default:g}, {self.max:g}")
        if self.whole and math.ceil(self.min) > math.floor(self.max):
            raise ValueError("expected a whole number between min and max, or whole = false")
        return self

    @property
    def default(self) -> float:
        """The length of a job that asks for none."""
        return self.min if self.usual is None else self.usual


class Lyrics(Table):
    """The form in which the generator reads lyrics, and whether it never sings the last line or section."""

    form: Literal["lrc", "tags", "sections", "tagged", "semicolons", "commas", "plain", "none"] = "none"
    spare_last: bool = False
    spare_last_until: float | None = None

    def has_spare(self, seconds: float) -> bool:
        """True if a spare last line or section is needed in a song of this length."""
        return self.spare_last or (self.spare_last_until is not None and seconds <= self.spare_last_until)


class RenderedFile(Table):
    """A file that is written before the generator starts: content for JSON, JSON Lines, YAML and TOML, or else text."""

    path: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
    content: Any = None
    text: Word | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.content is None) == (self.text is None):
            raise ValueError("expected either content or text")
        if self.content is not None and self.suffix not in ("json", "jsonl", "yaml", "yml", "toml"):
            raise ValueError(f"path is {self.path!r}: expected .json, .jsonl, .yaml or .toml for content")
        if self.suffix == "toml" and not isinstance(self.content, dict) and self.text is None:
            raise ValueError("content: expected a table, because a TOML file is one")
        templates.map_texts(self.content, templates.parse)
        return self

    @property
    def suffix(self) -> str:
        """The end of the name, which decides the format: json, jsonl, yaml, yml, toml, or another for text."""
        return self.path.rpartition(".")[2]

    @cached_property
    def parsed(self) -> Any:
        """The content with a template in place of each text."""
        return templates.map_texts(self.content, templates.parse)

    @cached_property
    def templates(self) -> list[Template]:
        """All templates of the file."""
        every: list[Template] = [self.text] if self.text else []
        templates.map_texts(self.content, lambda text: every.append(templates.parse(text)))
        return every


def _lyrics(form: object) -> object:
    return {"form": form} if isinstance(form, str) else form


class Recipe(Table):
    """How to run one generator; all keys are in docs/generators.md. Its name is the job_type that it makes."""

    command: Words | None = None
    serve: Words | None = None
    idle_seconds: float = Field(300, ge=0, le=1_000_000)
    cwd: str | None = None
    env: dict[Variable, Word] = {}
    seconds: Seconds = Seconds()
    lyrics: Annotated[Lyrics, BeforeValidator(_lyrics)] = Lyrics()
    outputs: list[Glob] = [f"*.{suffix}" for suffix in AUDIO]
    not_outputs: list[Glob] = []
    failed: list[Annotated[str, Field(min_length=1)]] = []
    progress: Pattern | None = None
    stages: dict[Literal["loading_model", "preparing_prompt", "generating_audio", "exporting"], Pattern] = {}
    gpu: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    timeout: Duration | None = None
    version: Words | None = None
    licence: str | None = None
    batch: bool = False
    cleanup: list[Annotated[str, AfterValidator(_inside)]] = []
    parameters: dict[Name, Parameter] = {}
    files: dict[Name, RenderedFile] = {}
    _name: str = PrivateAttr("")
    _folder: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        if (self.command is None) == (self.serve is None):
            raise ValueError("expected either command or serve: the words of a command line")
        return self

    @model_validator(mode="after")
    def _check_warm(self) -> Self:
        """A warm process serves many jobs: it gets everything in its requests."""
        if self.serve is not None:
            for key in ("failed", "progress", "stages", "files"):
                if getattr(self, key):
                    raise ValueError(f"{key}: expected only with command; a warm process says it in its messages")
            for key, words in (("serve", self.serve), ("env", self.env.values())):
                if not all(word.is_fixed for word in words):
                    raise ValueError(f"{key}: expected no placeholder, as one process serves many jobs")
        return self

    @model_validator(mode="after")
    def _check_version(self) -> Self:
        if not all(word.is_fixed for word in self.version or ()):
            raise ValueError("version: expected no placeholder, as it is the same for all jobs")
        return self

    @model_validator(mode="after")
    def _check_cleanup(self) -> Self:
        if self.cleanup and self.cwd is None:
            raise ValueError("cleanup: expected cwd, too, as its paths are inside that folder")
        return self

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        """Every file has a name of its own in the work folder."""
        names = [file.path.lower() for file in self.files.values()]
        if taken := sorted({name for name in names if name in RESERVED or names.count(name) > 1}):
            raise ValueError(f"files: expected another path than {taken[0]}, as another file has this name")
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        if self.progress and re.compile(self.progress).groups > 2:
            raise ValueError(r"progress: expected one group (percent) or two (step, total), such as 'step (\d+)/(\d+)'")
        return self

    @model_validator(mode="after")
    def _check_placeholders(self) -> Self:
        if clash := sorted(self.parameters.keys() & {*PLACEHOLDERS, "metadata", "files"}):
            raise ValueError(f"parameters.{clash[0]}: expected another name, because {{{clash[0]}}} is a placeholder")
        for place, template in self._templates():
            for slot in template.slots:
                if reason := self._problem(slot, template):
                    raise ValueError(f"{place}: {reason}")
            if template.condition and "." in template.condition and not self._is_placeholder(template.condition):
                raise ValueError(f"{place}: {{?{template.condition}}} is no condition; {self._expected()}")
            if template.condition == "lyrics_file":
                raise ValueError(f"{place}: there is always a lyrics_file, which may be empty; expected {{?lyrics}}")
        return self

    @property
    def name(self) -> str:
        """The job_type that it makes."""
        return self._name

    @property
    def folder(self) -> Path | None:
        """The folder that the generator runs in; None: the work folder of the attempt."""
        return self._folder

    def seconds_allowed(self, usual: float) -> float:
        """The seconds that a run may take; usual, if the recipe does not say it."""
        return self.timeout.total_seconds() if self.timeout else usual

    @property
    def is_warm(self) -> bool:
        """True if a process stays loaded between jobs."""
        return self.serve is not None

    @property
    def is_seeded(self) -> bool:
        """True if the generator is given the seed."""
        return self.is_warm or self.uses("seed")

    def placed(self, name: str, folder: Path | None) -> "Recipe":
        """The recipe with its name and the folder that it runs in."""
        self._name, self._folder = name, folder
        return self

    def uses(self, *names: str) -> bool:
        """True if one of these placeholders is in the command line or in a file; a warm generator gets all of them."""
        return self.is_warm or not self._used.isdisjoint(names)

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The names of all values that a job has for this generator, apart from those in its metadata."""
        return (*PLACEHOLDERS, *self.parameters, *(f"files.{name}" for name in self.files))

    @cached_property
    def toml(self) -> list[Template]:
        """The templates of the TOML files."""
        return [template for file in self.files.values() if file.suffix == "toml" for template in file.templates]

    @cached_property
    def arguments(self) -> list[Template]:
        """The words of the command and the values of env that have a value of the job in them."""
        own = {"prompt", "lyrics", *self.parameters}
        words = [*(self.command or []), *self.env.values()]
        return [word for word in words if any(slot.name in own or "." in slot.name for slot in word.slots)]

    @cached_property
    def _used(self) -> frozenset[str]:
        """All names in the templates."""
        every = [template for _, template in self._templates()]
        return frozenset(slot.name for one in every for slot in one.slots) | {str(one.condition) for one in every}

    def requires(self, name: str) -> bool:
        """True if the generator cannot start without a value of this placeholder."""
        if name not in self._used:
            return False
        templates_of = [template for _, template in self._templates() if template.condition != name]
        return any(slot.name == name and slot.default is None for template in templates_of for slot in template.slots)

    def _templates(self) -> Iterator[tuple[str, Template]]:
        """All templates with the names of their keys."""
        for key, words in (("command", self.command), ("serve", self.serve), ("version", self.version)):
            yield from ((key, word) for word in words or ())
        yield from ((f"env.{name}", word) for name, word in self.env.items())
        for name, file in self.files.items():
            yield from ((f"files.{name}", template) for template in file.templates)

    def _problem(self, slot: templates.Slot, template: Template) -> str | None:
        """What is wrong with a placeholder, or None."""
        if not self._is_placeholder(slot.name):
            return f"{{{slot.name}}} is no placeholder; {self._expected()}"
        if slot.default is not None or template.condition == slot.name:
            return None
        if slot.name.startswith("metadata."):
            return f"{{{slot.name}}} has no default; expected {{{slot.name}|…}}, as a job may not have it"
        if slot.name in self.parameters and self.parameters[slot.name].default is None:
            return f"{{{slot.name}}} has no value if a job sets none; expected parameters.{slot.name}.default"
        return None

    def _is_placeholder(self, name: str) -> bool:
        return name in self.placeholders or name.startswith("metadata.")

    def _expected(self) -> str:
        return "expected one of " + ", ".join([*self.placeholders, "metadata.…|default"])
