"""docs/architecture.md tells the modules as they are."""

import re

from tests.architecture import PACKAGES, PAGE, ROOT, first_line, tables, written
from tests.documents import blocks, text_of_all

MODULE = re.compile(r"\b((?:\w+/)*\w+\.py)\b")


def test_the_tables_of_modules_are_those_of_the_code() -> None:
    page = PAGE.read_text()
    assert written(page) == page, "run: python -m tests.architecture"
    assert "`records/leases.py`" in page


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    modules = re.findall(r"^\| `(\S+\.py)` \|", tables(), re.M)
    assert [name for name in modules if not first_line(ROOT / name).endswith((".", ":"))] == []


def test_the_picture_names_modules_that_exist() -> None:
    (picture,) = blocks("mermaid", PAGE)
    assert [name for name in MODULE.findall(picture.text) if not (ROOT / name).is_file()] == []
    assert len(MODULE.findall(picture.text)) > 15


def test_every_module_a_document_names_exists() -> None:
    names = [name for name in MODULE.findall(text_of_all()) if name.partition("/")[0] in PACKAGES]
    assert [name for name in names if not (ROOT / name).is_file()] == []
