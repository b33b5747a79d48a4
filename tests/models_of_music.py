"""A file of two recipes, for tests of what people may set: one with all kinds of parameters and one without any."""

from pathlib import Path

from settings import Settings

TABLES = """
[opera]
command = ["true", "{prompt}", "{lyrics_file}", "{steps}", "{voice}", "{chunked}", "{?negative}{negative}", "{seed}"]
seconds = { min = 10, max = 240, usual = 60, kind = "exact" }
lyrics = "tags"
licence = "non-commercial"
[opera.parameters]
steps = { type = "int", min = 10, max = 100, default = 32, help = "More steps take longer." }
strength = { type = "float", min = 0, max = 1.5, help = "more is louder" }
chunked = { type = "bool", default = true, help = "Needs less memory." }
voice = { type = "choice", choices = ["low", "high"], default = "low" }
negative = { type = "text", max_length = 40, help = "What the music must not have." }

[echo]
command = ["true", "{reference_file}", "{seed}"]

[noise]
command = ["true", "{duration}"]
seconds = { kind = "none" }
"""


def with_recipes(settings: Settings, folder: Path) -> Settings:
    """The settings with these recipes."""
    file = folder / "generators.toml"
    file.write_text(TABLES)
    return settings.model_copy(update={"generators": file})
