"""The form for a new job: the fields that the generator of the chosen type has, and hints about them."""

from collections.abc import Mapping

from flask import render_template

from generators.catalogue import catalogue
from generators.orders import sings
from generators.parameters import digits
from generators.recipe import Recipe, Seconds
from models import LARGEST_SEED, MOST_TAKES
from web.current import services
from web.pages.filled import Filled, templates
from web.pages.wording import brief

GENRES = (
    *("Pop", "Rock", "Electronic", "Jazz", "Folk", "Hip-Hop", "Classical", "Ambient", "Blues", "Country", "Soul"),
    *("R&B", "Funk", "Reggae", "Latin", "Metal", "House", "Techno", "Lo-Fi", "Cinematic", "Synthwave"),
)
MOODS = (
    *("Romantic", "Nostalgic", "Upbeat", "Melancholic", "Relaxing", "Energetic", "Dreamy", "Dark", "Hopeful", "Epic"),
    *("Playful", "Heartfelt", "Uplifting", "Mysterious", "Calm", "Tense", "Triumphant", "Chill", "Ethereal", "Warm"),
)
SYNTH = "synth"
NOTHING = Filled()
NO_FORM = (
    "Jobs of type {chosen} have no form here, as this machine has no recipe for them: put one into generators.toml, "
    "or send the job with POST /api/jobs. These are the fields of {shown}."
)
SEEDED = "The same seed and fields make the same music."
ABOUT_SYNTH = "A small synthesiser, to try things. Models are added in generators.toml."
SECTIONS = "Put a tag such as [verse] or [chorus] in a line before each section. Times are not needed."
# What a person may write, by the form in which the generator reads lyrics.
LYRICS = {
    "lrc": "A line may have its time: [00:10.00]words. Lines without times are spread over the song.",
    "tags": SECTIONS,
    "sections": SECTIONS,
    "semicolons": SECTIONS,
    "commas": SECTIONS,
    "tagged": "Put any tag, such as [verse] or [soft piano], in a line before each section. Times are not needed.",
    "plain": "Words alone: times and tags are left out.",
}
TAGGED = "[verse]\nThe platform hums, the night train waits"
EXAMPLES = {
    "lrc": "[00:10.00]The platform hums, the night train waits",
    "plain": "The platform hums, the night train waits",
    "none": "",
}
LENGTHS = {
    "exact": "",
    "ceiling": "The music may end earlier.",
    "segments": "Made in segments of about {segment:g} seconds.",
}


def new_job_page(entries: Mapping[str, str], errors: Mapping[str, str], source: Filled = NOTHING) -> str:
    """The form for a new job, with the entries so far and the errors by field. source: what has filled it in.

    A type without a recipe here has no form: the page says so, and shows the fields of the first type.
    """
    recipes = catalogue(services().settings)
    types = types_of(recipes)
    chosen = entries.get("job_type") or types[0]
    recipe = recipes.get(chosen, recipes[types[0]])
    if chosen not in recipes:
        errors = {"": NO_FORM.format(chosen=brief(chosen, 64), shown=recipe.name), **errors}
    return render_template(
        "new.html",
        entries={**entries, "job_type": recipe.name},
        errors=errors,
        genres=GENRES,
        moods=MOODS,
        types=types,
        recipe=recipe,
        hints=hints(recipe),
        lyrics_example=EXAMPLES.get(recipe.lyrics.form, TAGGED),
        most_takes=MOST_TAKES,
        largest_seed=LARGEST_SEED,
        source=source,
        templates=templates(types),
    )


def types_of(recipes: Mapping[str, Recipe]) -> list[str]:
    """The types of jobs that can be made, the synthesiser last. The first is chosen by default."""
    return sorted(recipes, key=lambda name: name == SYNTH)


def hints(recipe: Recipe) -> dict[str, str]:
    """The hints at the fields that depend on the generator."""
    return {
        "job_type": about(recipe),
        "duration": about_seconds(recipe.seconds),
        "lyrics": about_lyrics(recipe),
        "seed": SEEDED if recipe.is_seeded else f"{recipe.name} takes no seed: each run is different.",
    }


def about(recipe: Recipe) -> str:
    """What a person should know about a generator."""
    licence = f"Licence of the model: {recipe.licence}" if recipe.licence else ""
    return licence or (ABOUT_SYNTH if recipe.name == SYNTH else "")


def about_seconds(seconds: Seconds) -> str:
    """The lengths that a generator makes."""
    if seconds.kind == "none":
        return "The generator itself chooses the length."
    limits = f"{digits(seconds.min)}–{digits(seconds.max)}{' whole' if seconds.whole else ''} seconds."
    return f"{limits} {LENGTHS[seconds.kind].format(segment=seconds.segment)}".strip()


def about_lyrics(recipe: Recipe) -> str:
    """The form of lyrics that a person may write."""
    if not sings(recipe):
        return f"{recipe.name} takes no lyrics. What you write here is kept, but not sung."
    return LYRICS[recipe.lyrics.form]
