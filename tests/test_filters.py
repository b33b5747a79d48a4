"""Filters on metadata: one rule, and one list of cases for both databases."""

from typing import Any

import pytest

from database import database
from models import Job
from records import filters
from repos import JobRepository

jobs = JobRepository()
pytestmark = pytest.mark.usefixtures("ledger")
BIG = 2**53 + 1


def matches(metadata: Any, path: str, text: str) -> bool:
    """True if a job with this metadata meets the filter."""
    jobs.create(job_id="x", prompt="p", metadata=metadata)
    return jobs.count(filters.metadata(Job, path, text)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(20, text) for text in ("20", "20.0", "2e1", "2E+1", "200e-1")],
        *[(20.0, text) for text in ("20", "20.0")],
        *[(1e16, text) for text in ("1e16", "1e+16", "10000000000000000")],
        *[(10**16, text) for text in ("1e16", "10000000000000000")],
        *[(1e-7, text) for text in ("1e-7", "0.0000001", "1E-07")],
        *[(1e308, text) for text in ("1e308", "1e+308")],
        *[(5e-324, text) for text in ("5e-324",)],
        *[(-0.0, text) for text in ("-0.0", "0", "-0", "0.0")],
        *[(0, text) for text in ("0", "-0.0")],
        (0.1, "0.1"),
        (0.1, "0.10"),
        (BIG, str(BIG)),
        (2**63 - 1, str(2**63 - 1)),
        (-(2**63), str(-(2**63))),
        ("20", "20"),
        ("20.0", "20.0"),
        ("1e999", "1e999"),
        ("true", "true"),
        (True, "true"),
        (False, "false"),
        ("ambient", "ambient"),
        ("", ""),
        ("null", "null"),
        ("[1]", "[1]"),
        ("ёлка", "ёлка"),
    ],
)
def test_a_value_is_found_by_a_text_that_reads_as_it(value: Any, text: str) -> None:
    assert matches({"a": value}, "a", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (20, "21"),
        (20, " 20"),
        (20, "+20"),
        (20, "020"),
        (20, "20."),
        (20, "2_0"),
        (20, "٢٠"),
        (20, "1e999"),
        ("20", "20.0"),
        (BIG, str(BIG - 1)),
        (1, "true"),
        (0, "false"),
        (True, "1"),
        (None, "null"),
        (None, ""),
        ([1], "[1]"),
        ({}, "{}"),
        ("Ambient", "ambient"),
        ("x", "nan"),
    ],
)
def test_a_value_is_not_found_by_another_text(value: Any, text: str) -> None:
    assert not matches({"a": value}, "a", text)


@pytest.mark.parametrize(
    ("metadata", "path", "is_match"),
    [
        ({"a": ["x"]}, "a.0", False),
        ({"a": [{"b": "x"}]}, "a.0.b", False),
        ({"a": ["x"]}, "a.-1", False),
        ({"a": {"0": "x"}}, "a.0", True),
        ({"0": {"1": "x"}}, "0.1", True),
        ({"a": {"b": "x"}}, "a.b", True),
        ({"a": "x"}, "a.b", False),
        ({"a b": {"ключ": "x"}}, "a b.ключ", True),
        ({"a": '{"b": "x"}'}, "a.b", False),
    ],
)
def test_a_path_names_keys_of_objects_and_no_elements_of_arrays(
    metadata: dict[str, Any], path: str, is_match: bool
) -> None:
    assert matches(metadata, path, "x") is is_match


@pytest.mark.parametrize("number", ["1e400", "1e-400", "123456789012345678901234567890"])
def test_numbers_that_no_float_holds_harm_no_list(number: str) -> None:
    statement = f"INSERT INTO job (job_id, prompt, metadata) VALUES ('shell', 'p', '{{\"a\": {number}}}')"
    database.execute_sql(statement)
    assert jobs.count(filters.metadata(Job, "a", "7")) == 0
