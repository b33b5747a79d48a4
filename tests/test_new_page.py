"""The form for a new job: the fields of each generator, and the job that is made of them. Without JavaScript."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from generators.catalogue import catalogue
from models import Job, Track
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.models_of_music import with_recipes
from web.pages.entries import job_of

jobs = JobRepository()
FILLED = {"parameters.steps": "50", "parameters.strength": "0.5", "parameters.chunked": "false"}
OPERA = {"prompt": "a duet", "job_type": "opera", **FILLED, "parameters.voice": "high", "parameters.negative": ""}

MANY_DIGITS = """
[song]
command = ["true", "{?steps}{steps}", "{?strength}{strength}"]
parameters.steps = { type = "int", min = -9007199254740993, max = 9223372036854775807 }
parameters.strength = { type = "float", max = 0.1234567890123456 }
"""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with recipes for opera and noise."""
    return with_recipes(settings, tmp_path)


def shown(page: str, name: str) -> str:
    """The tag of the last field with this name."""
    return re.findall(rf'<(?:input|select|textarea)[^>]* name="{re.escape(name)}"[^>]*>', page)[-1]


@on_sqlite
def test_the_page_has_the_fields_of_the_chosen_type(client: FlaskClient) -> None:
    page = client.get("/new?job_type=opera").text
    assert re.findall(r"<option(?: selected)?>(\w+)</option>", page)[:3] == ["opera", "echo", "noise"]
    assert 'type="number" inputmode="numeric" step="1" min="10" max="100"' in shown(page, "parameters.steps")
    assert 'step="any" min="0" max="1.5"' in shown(page, "parameters.strength")
    assert " checked" in shown(page, "parameters.chunked") and "<option selected>low</option>" in page
    assert 'maxlength="40"' in shown(page, "parameters.negative") and 'min="10" max="240"' in shown(page, "duration")
    assert "More steps take longer. An integer from 10 to 100." in page and "non-commercial" in page
    assert ">more is louder. A number from 0 to 1.5.<" in page


@on_sqlite
def test_limits_of_many_digits_are_exact_in_the_form(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "song.toml").write_text(MANY_DIGITS)
    app = create_app(settings.model_copy(update={"generators": tmp_path / "song.toml"}))
    client, form = app.test_client(), {"prompt": "p", "job_type": "song", "parameters.steps": "9223372036854775807"}
    page = client.get("/new?job_type=song").text
    assert 'min="-9007199254740993" max="9223372036854775807"' in shown(page, "parameters.steps")
    assert 'max="0.1234567890123456"' in shown(page, "parameters.strength")
    assert client.post("/jobs", data=form).status_code == 303
    assert jobs.get_all()[0].metadata["parameters"] == {"steps": 2**63 - 1}
    app.extensions["ledger"].close()


@on_sqlite
@pytest.mark.parametrize(
    ("job_type", "sentences"),
    [
        ("opera", ["10–240 whole seconds.", "Put a tag such as [verse]", "The same seed and fields"]),
        ("noise", ["The generator itself chooses the length.", "noise takes no lyrics", "noise takes no seed"]),
        ("synth", ["3–600 seconds.", "synth takes no lyrics", "A small synthesiser", "Parameters of synth"]),
        ("unheard", ["Parameters of opera", "Jobs of type unheard have no form here"]),
        ("%3Cb%3E" + "x" * 99, ["Parameters of opera", "Jobs of type &lt;b&gt;xx"]),
        ("%00", ["Parameters of opera", "have no form here"]),
        ("", ["Parameters of opera"]),
    ],
)
def test_the_page_says_what_a_generator_takes(client: FlaskClient, job_type: str, sentences: list[str]) -> None:
    answer = client.get(f"/new?job_type={job_type}")
    assert answer.status_code == 200
    assert [sentence for sentence in sentences if sentence not in answer.text] == []


@on_sqlite
def test_only_a_type_without_a_recipe_has_no_form(client: FlaskClient) -> None:
    for job_type in ("opera", "noise", "synth", ""):
        assert "have no form here" not in client.get(f"/new?job_type={job_type}").text
    page = client.post("/new", data={**OPERA, "job_type": "unheard"}).text
    said = re.search(r'class="form-error" role="alert">([^<]*)<', page)
    assert said and said[1].endswith("These are the fields of opera.")


def test_the_form_makes_a_job_with_its_parameters(client: FlaskClient) -> None:
    answer = client.post("/jobs", data={**OPERA, "takes": "3", "seed": "7", "duration": "5", "lyrics": "la"})
    job: Job = jobs.get_by_id(answer.headers["Location"].removeprefix("/jobs/"))
    assert (answer.status_code, job.job_type, job.takes, job.seed) == (303, "opera", 3, 7)
    parameters = {"steps": 50, "strength": 0.5, "chunked": False, "voice": "high"}
    assert job.metadata == {"duration": 5, "lyrics": "la", "parameters": parameters}
    assert "so it makes 10 seconds" in client.get(answer.headers["Location"]).text


@on_sqlite
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("parameters.steps", "9", "expected an integer from 10 to 100"),
        ("parameters.steps", "2_0", "expected an integer from 10 to 100"),
        ("parameters.steps", "٣٣", "expected an integer from 10 to 100"),
        ("parameters.steps", "many", "expected an integer from 10 to 100"),
        ("parameters.strength", "nan", "expected a number from 0 to 1.5"),
        ("parameters.chunked", "perhaps", "expected true or false"),
        ("parameters.voice", "shrill", "expected one of low, high"),
        ("parameters.negative", "x" * 41, "expected text of at most 40 characters"),
        ("takes", "33", "less than or equal to 32"),
        ("seed", "-1", "greater than or equal to 0"),
        ("seed", "many", "valid integer"),
    ],
)
def test_a_wrong_entry_is_named_at_its_field_and_all_are_kept(
    client: FlaskClient, name: str, value: str, message: str
) -> None:
    answer = client.post("/jobs", data={**OPERA, "takes": "3", name: value})
    assert answer.status_code == 422 and jobs.count() == 0
    said = re.search(rf'id="new-{re.escape(name)}-error" data-error="{re.escape(name)}">([^<]*)<', answer.text)
    assert said and message in said[1] and 'aria-invalid="true"' in shown(answer.text, name)
    kept = {"takes": 'value="3"', "parameters.steps": 'value="50"'}
    assert all(entry in shown(answer.text, field) for field, entry in kept.items() if field != name)


@on_sqlite
def test_all_wrong_entries_are_named_at_once(client: FlaskClient) -> None:
    answer = client.post("/jobs", data={**OPERA, "parameters.steps": "9", "parameters.voice": "shrill"})
    assert len(re.findall(r'data-error="[a-z._]+">[^<]', answer.text)) == 2


@on_sqlite
def test_the_entries_are_kept_when_the_fields_of_another_type_are_shown(client: FlaskClient) -> None:
    entries = {
        **OPERA,
        "job_type": "synth",
        "genre": "Folk",
        "lyrics": "\nla <b>",
        "takes": "2",
        "parameters.tempo": "99",
    }
    page = client.post("/new", data=entries).text
    assert 'value="99"' in shown(page, "parameters.tempo") and "parameters.steps" not in page
    assert 'value="Folk"' in shown(page, "genre") and "\n\nla &lt;b&gt;</textarea>" in page
    assert "<option selected>synth</option>" in page and jobs.count() == 0


@on_sqlite
def test_parameters_of_another_type_are_left_out(client: FlaskClient) -> None:
    answer = client.post("/jobs", data={**OPERA, "job_type": "noise"})
    assert answer.status_code == 303 and jobs.get_all()[0].metadata == {}


def test_empty_entries_are_no_values(settings: Settings) -> None:
    recipe = catalogue(settings)["opera"]
    entries: dict[str, Any] = {"prompt": " p ", "job_type": "opera", "seed": " ", "parameters.steps": "", "mood": ""}
    assert job_of(entries, recipe) == {"prompt": " p ", "job_type": "opera", "metadata": {}}
    assert job_of({**entries, "takes": "2", "parameters.steps": "6e1"}, recipe)["metadata"]["parameters"] == {
        "steps": 60
    }


@on_sqlite
def test_a_generator_that_needs_a_reference_has_a_field_for_it(client: FlaskClient, track: Track) -> None:
    entries = {"prompt": "p", "job_type": "echo", "reference_track": "track-1"}
    refused = client.post("/jobs", data={**entries, "reference_track": ""})
    assert refused.status_code == 422 and "needs a reference recording" in refused.text
    assert " required" in shown(refused.text, "reference_track")
    answer = client.post("/jobs", data=entries)
    assert jobs.get_by_id(answer.headers["Location"][6:]).metadata == {"reference_track": "track-1"}
    assert "reference_track" not in client.get("/new?job_type=opera").text.replace("new-reference_track-field", "")
