"""Checks answers of the API in tests."""

from typing import Any

from tests.service import ROOT


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The body of an answer, checked to be this problem and to show nothing of the inside."""
    assert answer.status_code == status, answer.text
    assert is_problem(answer) and answer.json["code"] == code, answer.text
    body: dict[str, Any] = answer.json
    return body


def is_problem(answer: Any) -> bool:
    """True for problem+json with the answer's status, a title and a detail, and no traceback, statement or path."""
    if answer.content_type != "application/problem+json" or answer.json["status"] != answer.status_code:
        return False
    is_discreet = not any(text in answer.text for text in ("Traceback", "SELECT", str(ROOT)))
    return bool(is_discreet and answer.json["title"] and answer.json["detail"])
