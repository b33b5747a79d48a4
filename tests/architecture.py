"""Writes the tables of modules in docs/architecture.md: python -m tests.architecture."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules: written by python -m tests.architecture -->\n", "<!-- end of modules -->"
PACKAGES = (
    *("generators", "database", "records", "files", "maintenance", "access", "studio", "web", "server", "commands"),
    "bench",
)


def tables() -> str:
    """A table of the modules at the root, and one for each folder with modules, each module with its first line."""
    folders = [folder for package in PACKAGES for folder in with_modules(ROOT / package)]
    return "\n".join(table(folder) for folder in [ROOT, *folders])


def with_modules(folder: Path) -> list[Path]:
    """The folder and all below it, as far as modules are in them."""
    below = [path for path in sorted(folder.rglob("*")) if path.is_dir()]
    return [place for place in [folder, *below] if any(place.glob("*.py"))]


def table(folder: Path) -> str:
    """The heading of a folder, the first line of its package, and its modules."""
    name = "The root" if folder == ROOT else f"`{folder.relative_to(ROOT)}/`"
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    package = folder / "__init__.py"
    about = [first_line(package), ""] if package.exists() and first_line(package) else []
    rows = [f"| `{path.relative_to(ROOT)}` | {first_line(path)} |" for path in modules]
    return "\n".join([f"### {name}", "", *about, "| module | what it is for |", "|---|---|", *rows, ""])


def first_line(module: Path) -> str:
    """The first line of a module's docstring; '' without one."""
    text = ast.get_docstring(ast.parse(module.read_text())) or ""
    return text.partition("\n")[0].replace("|", "\\|")


def written(page: str) -> str:
    """The page with its tables as they should be."""
    return re.sub(f"(?s)(?<={re.escape(BEGIN)}).*(?={re.escape(END)})", lambda _: f"\n{tables()}\n", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
