"""The documents say what to do for every sentence with which the service refuses to start."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import errors
from tests.service import ROOT
from tests.test_layout import product, room_of

HEADING = "### The service does not start\n"
COMMANDS = {"maintenance", "commands"}  # they raise the same errors when no service starts


def refusals() -> set[str]:
    """The names of the errors that stop a start."""
    return {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.CannotStart)
    }


def sentences(path: Path) -> Iterator[str]:
    """The sentences of the refusals that a file raises; a value in one is …."""
    tree = ast.parse(path.read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in refusals():
            yield from texts(call.args[0], functions)


def texts(node: ast.expr | None, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """What a text is made of; for a call of a function of the same file, all texts that it may return."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
        for part in ast.walk(functions[node.func.id]):
            yield from texts(part.value, functions) if isinstance(part, ast.Return) else ()


def raised() -> list[str]:
    """All sentences with which a start can be refused."""
    paths = [path for path in product() if room_of(path) not in COMMANDS]
    return [sentence for path in paths for sentence in sentences(path)]


def documented() -> list[str]:
    """The beginnings of sentences that the documents explain; a value in one is ...."""
    section = (ROOT / "docs" / "operations.md").read_text().split(HEADING)[1].split("\n### ")[0]
    return re.findall(r"`([^`]+)`\*\*", section.replace("**`", "`"))


def matches(beginning: str, sentence: str) -> bool:
    """True if a sentence begins like this. A value at the start of the sentence may stand for more."""
    pieces = [re.escape(piece) for piece in beginning.split("...")]
    if sentence.startswith("…") and len(pieces) > 1:
        pieces[0] = "…"
    return re.match(".*".join(pieces), sentence) is not None


def test_the_documents_have_every_refusal_of_a_start() -> None:
    assert len(raised()) > 10
    assert [sentence for sentence in raised() if not any(matches(one, sentence) for one in documented())] == []


def test_the_documents_have_no_refusal_that_nothing_raises() -> None:
    refused = raised()
    settings = (ROOT / "settings.py").read_text()  # a wrong setting is a ValueError there
    assert [
        one for one in documented() if one not in settings and not any(matches(one, text) for text in refused)
    ] == []


def test_the_documents_have_the_well_known_errors_of_databases() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert all(
        f"**`{error}" in text for error in ("database is locked", "no such table", "FOREIGN KEY constraint failed")
    )
