"""Jobs by the words of their prompts: in any script, and in the order of the list, whatever that takes."""

import itertools
import json
import random
import unicodedata
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from database import bind, database, is_postgresql
from database.hints import few_rows
from database.letters import fold, words
from models import EPOCH, Job
from records import search
from records.indexing import index_batch
from records.search import JobSearch
from repos import JobRepository, Page
from settings import Settings
from tests.conftest import SAMPLES, matching_ids, thorough

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")
SORTS = [
    Page(limit=9),
    Page(limit=9, descending=False),
    Page("priority", limit=9),
]
CONDITIONS = [[], [Job.progress == 3], [few_rows(Job.progress == 3)]]


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
    assert matching_ids(text) == [f"{number:02}" for number in hits]


ALIKE = [  # (a prompt, a text that finds it)
    ("ёлка мой Йод", "елка мои иод"),
    ("елка", "ёлка"),
    ("Ё" + "\u0308".join("ее"), "ее"),  # the second as letter and mark
    ("Άνοιξη ἀρχή", "ανοιξη αρχη"),
    ("ΟΔΟΣ", "οδος"),
    ("Việt Ǽsir", "viet æsir"),
    ("€20 and £5", "20"),
    ("€20", "€20"),
    ("₽20 ₿3", "20 3"),
    ("20°C", "20"),
    ("a→b", "b"),
    ("x=y+z", "z"),
    ("rock・ballad", "ballad"),
    ("rock・ballad", "rock・ballad"),
    ("C♯ minor", "♯"),
    ("★ star", "★"),
    ("❤️ love", "❤"),
    ("❤ love", "❤️"),
    ("हिन्दी गीत", "हिन्दी"),
    ("한국 노래", "한"),
    ("ﬁve 金", "金"),
    ("µ-ziq", "μ"),
]
APART = [  # (a prompt, a text that does not find it)
    ("がく", "か"),
    ("한국", "하"),
    ("हिन्दी", "न्दी"),
    ("rock・ballad", "allad"),
    ("€", "€"),
    ("20", "2€0"),
]


@pytest.mark.parametrize(("prompt", "text"), ALIKE)
def test_both_databases_find_the_same_words(prompt: str, text: str) -> None:
    jobs.create(job_id="x", prompt=prompt)
    assert matching_ids(text) == ["x"]


@pytest.mark.parametrize(("prompt", "text"), APART)
def test_both_databases_leave_the_same_words_out(prompt: str, text: str) -> None:
    jobs.create(job_id="x", prompt=prompt)
    assert matching_ids(text) == []


@pytest.mark.parametrize("start", range(0x20, 0x30000, 0x4000), ids=hex)
def test_a_prompt_is_split_into_the_words_of_the_written_rule(start: int) -> None:
    letters = [chr(number) for number in range(start, start + 0x4000) if not 0xD800 <= number < 0xE000]
    old = [letter for letter in letters if unicodedata.ucd_3_2_0.category(letter) != "Cn"]
    small = [letter for letter in old if letter == letter.lower()]
    for part in (small[place : place + 2000] for place in range(0, len(small), 2000)):
        prompt = " ".join(f"x{letter}y" for letter in part)
        jobs.create(job_id="x", prompt=prompt)
        assert indexed_words(prompt) == set(words(fold(prompt)))
        jobs.delete("x")


def indexed_words(prompt: str) -> set[str]:
    """The words that the index has of a prompt, the only one."""
    query, values = "SELECT unnest(tsvector_to_array(job_words(%s)))", (prompt,)
    if not is_postgresql():
        index_batch()
        database.execute_sql("CREATE VIRTUAL TABLE IF NOT EXISTS temp.v USING fts5vocab('main', 'job_search', 'row')")
        query, values = "SELECT term FROM temp.v", ()
    return {word for (word,) in database.execute_sql(query, values).fetchall()}


def test_search_follows_changes_and_deletions(job: Job) -> None:
    jobs.update("job-1", prompt="thunder")
    assert (matching_ids("thunder"), matching_ids("rain")) == (["job-1"], [])
    jobs.delete("job-1")
    assert matching_ids("thunder") == []


@pytest.mark.parametrize(  # shuffled -1: all at the same time; indexed: jobs that SQLite's index has
    ("shuffled", "indexed"), [(-1, 130), (0, 0), (0, 130), (3, 130), *thorough([(0, 200), (200, 130)], [])]
)
def test_pages_of_a_search_are_those_of_the_whole_list(
    shuffled: int, indexed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MANY", 60)
    monkeypatch.setattr(search, "MARGIN", 1)
    rng = random.Random(shuffled)
    for number in range(200):
        made = EPOCH + timedelta(seconds=number + rng.randint(0, shuffled) if shuffled >= 0 else 0)
        text = f"all {'half' * (number % 2)} {'rare' * (number % 40 == 7)}"
        jobs.create(job_id=f"{rng.random()}", prompt=text, created_at=made, progress=number % 7, priority=number % 3)
        if number + 1 == indexed and not is_postgresql():
            index_batch()
    newest: list[Any] = []
    find = JobSearch._newest
    monkeypatch.setattr(JobSearch, "_newest", lambda *asked: newest.append(find(*asked)) or newest[-1])
    for text, where, sort in itertools.product(("all", "half", "all half", "rare"), CONDITIONS, SORTS):
        wanted = [job.job_id for job in jobs.page(replace(sort, limit=999), *where) if fits(job.prompt, text)]
        assert paged(JobSearch(text), sort, *where) == wanted, (text, where, sort)
        skipping = replace(sort, offset=13)
        assert [job.job_id for job in JobSearch(text).page(skipping, *where)] == wanted[13 : 13 + sort.limit]
        assert JobSearch(text).count(*where) == len(wanted) and JobSearch(text).page(replace(sort, limit=0)) == []
    if shuffled == 0 and indexed and not is_postgresql():
        assert sum(page is not None for page in newest) > 20


def fits(prompt: str, text: str) -> bool:
    """Every word of the text is in the prompt."""
    return set(text.split()) <= set(prompt.split())


def paged(repo: JobRepository, page: Page, *where: Any) -> list[str]:
    """The ids of all pages, each asked for after the one before."""
    ids: list[str] = []
    while part := repo.page(page, *where):
        ids += [job.job_id for job in part]
        page = replace(page, after=(getattr(part[-1], page.sort), part[-1].job_id))
    return ids


def test_accents_and_case_do_not_matter() -> None:
    jobs.create(job_id="cafe", prompt="Café Ünder Straße")
    assert matching_ids("cafe under STRASSE") == [] and matching_ids("cafe under") == ["cafe"]


def test_a_prompt_of_any_length_is_stored_and_found() -> None:
    jobs.create(job_id="long", prompt="木吉他" * 3000 + " кода" + " x" * 50_000)
    assert matching_ids("кода") == ["long"] and matching_ids("他木") == ["long"]


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_statement_is_planned_for_its_words_whatever_options_the_url_has(kind: str, ledger: Settings) -> None:
    bind(ledger.model_copy(update={"database_url": f"{ledger.database_url}&options=-csearch_path%3Dpublic"}))
    shown = [database.execute_sql(f"SHOW {name}").fetchone()[0] for name in ("plan_cache_mode", "search_path")]
    assert shown == ["force_custom_plan", "public"]
