"""Jobs by the words of their prompts: in any script, and in the order of the list, whatever that takes."""

import itertools
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from database import database

import pytest

import job_search
from job_search import JobSearch
from models import EPOCH, Job
from repos import JobRepository, Page
from tests.conftest import SAMPLES, found

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")
SORTS = [Page(limit=9), Page(limit=9, descending=False), Page("priority", limit=9), Page(limit=9, few=True)]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("民谣", [4]),
        ("吉他", [4]),
        ("他吉", []),
        ("口琴 民谣", [4]),
        ("эмбиент", [5]),
        ("СПОКОЙНАЯ", [5]),
        ("🎧", [6]),
        ("folk", [0, 8]),
        ("FOLK harm", [0, 8]),
        ("8-bit", [10]),
        ("chip", [10]),
        ("iptune", []),
        ('"; DROP TABLE job; --', []),
        ("NEAR(\" AND OR NOT * ^ : ( ) ' & | ! <-> \\", []),
        ("…!?", []),
        ("ΟΔΟΣ", [12]),
        ("20°C", [12]),
        ("時々", [12]),
        ("rock・ballad", [12]),
        ("時々 €", [12]),
        ("€", []),
    ],
)
def test_prompts_are_found_by_their_words_in_any_script(text: str, hits: list[int]) -> None:
    for number, body in enumerate(json.loads((SAMPLES / "requests.json").read_text())):
        jobs.create(job_id=f"{number:02}", prompt=body["prompt"])
    jobs.create(job_id="12", prompt="ΟΔΟΣ οδος 20°C 時々雨 rock・ballad, 5 €")
    assert found(text) == [f"{number:02}" for number in hits]


def test_search_follows_changes_and_deletions(job: Job) -> None:
    jobs.update("job-1", prompt="thunder")
    assert (found("thunder"), found("rain")) == (["job-1"], [])
    jobs.delete("job-1")
    assert found("thunder") == []


@pytest.mark.parametrize("shuffled", [0, 3, 200])
def test_pages_of_a_search_are_those_of_the_whole_list(shuffled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_search, "FEW", 10)
    monkeypatch.setattr(job_search, "MARGIN", 1)
    rng = random.Random(shuffled)
    for number in range(200):
        made = EPOCH + timedelta(seconds=number + rng.randint(0, shuffled) - shuffled % 2)
        text = f"all {'half' * (number % 2)} {'rare' * (number % 40 == 7)}"
        jobs.create(job_id=f"{rng.random()}", prompt=text, created_at=made, progress=number % 7, priority=number % 3)
    for text, seventh, sort in itertools.product(("all", "half", "all half", "rare"), (False, True), SORTS):
        where = [Job.progress == 3] if seventh else []
        wanted = [job.job_id for job in jobs.page(replace(sort, limit=999), *where) if fits(job.prompt, text)]
        assert paged(JobSearch(text), sort, *where) == wanted, (text, seventh, sort)
        skipping = replace(sort, offset=13)
        assert [job.job_id for job in JobSearch(text).page(skipping, *where)] == wanted[13 : 13 + sort.limit]
        assert JobSearch(text).count(*where) == len(wanted)


def fits(prompt: str, text: str) -> bool:
    """Every word of the text is in the prompt."""
    return set(text.split()) <= set(prompt.split())


def paged(repo: JobRepository, page: Page, *where: Any) -> list[str]:
    """The ids of all pages, each asked for after the one before."""
    found: list[str] = []
    while part := repo.page(page, *where):
        found += [job.job_id for job in part]
        page = replace(page, after=(getattr(part[-1], page.sort), part[-1].job_id))
    return found


def test_accents_and_case_do_not_matter() -> None:
    jobs.create(job_id="cafe", prompt="Café Ünder Straße")
    assert found("cafe under STRASSE") == [] and found("cafe under") == ["cafe"]


def test_a_prompt_of_any_length_is_stored_and_found() -> None:
    jobs.create(job_id="long", prompt="木吉他" * 3000 + " кода" + " x" * 50_000)
    assert found("кода") == ["long"] and found("他木") == ["long"]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_statement_is_planned_for_the_words_it_is_asked_with(kind: str) -> None:
    assert database.execute_sql("SHOW plan_cache_mode").fetchone() == ("force_custom_plan",)
