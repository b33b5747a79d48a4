"""The benchmark: its tables and pictures come from results, and its load generator reads whole responses."""

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from database import database
from repos import JobRepository
from settings import Settings
from tests.conftest import on_sqlite
from tests.service import ROOT


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of bench/ can be imported."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "bench"), *sys.path])


def row(contestant: str, rates: list[float], operation: str = "GET job") -> dict[str, Any]:
    """One row of the requests."""
    return {"operation": operation, "connections": 16, "contestant": contestant, "rate": rates, "p99": [2.5, 3.5, 9.0]}


RESULTS: dict[str, Any] = {
    "machine": {"date": "2026-11-26", "cores": 2, "python": "3.11.7", "sqlite": "3.54.0"},
    "requests": [row("ours", [7900.0, 8000.0, 8200.0]), row("replaced service", [790.0, 800.0, 810.0])],
    "queues": [
        {"database": "SQLite", "workers": 1, "contestant": "ours", "put": [500.0], "take": [300.0]},
        {"database": "SQLite", "workers": 1, "contestant": "huey", "put": [250.0], "take": [400.0]},
    ],
    "growth": [{"operation": "GET job", "ms": {"1000": 0.2, "100000": 0.25, "1000000": 0.5}}],
    "in_process": [{"operation": "get", "sqlite": 4.0, "repository": 12.0, "json": 8.0, "view": 20.0}],
}


def test_a_table_has_the_median_and_the_spread_and_the_ratio(bench: None) -> None:
    import report

    assert "| GET job | 8,000 | 7,900–8,200 | 3.5 | 10.0 | 3.5 |  |  |" in report.report(RESULTS)


def test_a_part_that_was_not_measured_has_no_table(bench: None) -> None:
    import report

    text = report.report(RESULTS)
    assert "### Growth" in text and "### Event streams" not in text


def test_a_goal_is_met_only_by_a_value_within_its_limit(bench: None) -> None:
    from goals import goals

    met = {goal.name: goal.is_met for goal in goals(RESULTS)}
    assert met["GET job: replaced service"] and met["get by a repository: SQLite's time"]
    assert not met["growth: GET job"] and not met["claim and complete, 1 worker, SQLite: Huey"]


def test_the_pictures_are_svg_that_names_the_operations(bench: None) -> None:
    from pictures import bars, lines

    for picture in (bars(RESULTS), lines(RESULTS)):
        assert "GET job" in "".join(ElementTree.fromstring(picture).itertext())
        assert "prefers-color-scheme: dark" in picture


def test_labels_of_lines_do_not_cover_each_other(bench: None) -> None:
    from pictures import spread

    places = sorted(spread({"a": 10, "b": 11, "c": 11, "d": 380}, 380).values())
    assert min(after - before for before, after in zip(places, places[1:], strict=False)) >= 16


def test_the_load_generator_waits_for_the_whole_response(bench: None) -> None:
    from load import complete_body

    response = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nETag: x\r\n\r\nbody"
    assert complete_body(response, b"200") == b"body"
    assert {complete_body(response[:end], b"200") for end in range(len(response))} == {None}


def test_the_load_generator_ends_at_a_status_that_is_not_expected(bench: None) -> None:
    from load import complete_body

    with pytest.raises(SystemExit, match="expected status 200"):
        complete_body(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"200")


@on_sqlite
@pytest.mark.parametrize("operation", ["create", "update", "get", "list of 50"])
def test_every_way_into_the_database_can_be_measured(bench: None, ledger: Settings, operation: str) -> None:
    import in_process

    JobRepository().create(job_id=in_process.job_id(1), prompt="p")
    sql, values = in_process.STATEMENTS[operation](1)
    assert database.connection().execute(sql, values).fetchall()
    for calls in (in_process.repository_calls(), in_process.json_calls()):
        assert calls[operation](1)


def test_the_page_has_the_marks_of_the_results(bench: None) -> None:
    import report

    page = Path(report.DOCS / "benchmarks.md").read_text()
    assert [page.count(mark) for mark in report.MARKS] == [1, 1]
