"""The layout: imports run one way, every module can be imported alone and does nothing then, no module is long."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import thorough
from tests.service import ROOT, clean_environment

LAYERS = [
    {"errors"},
    {"settings"},
    {"generators"},
    {"database"},
    {"models"},
    {"records"},
    {"repos"},
    {"files"},
    {"maintenance", "access"},
    {"studio", "web", "server"},
    {"commands"},
    {"app"},
]
ROOMS = {room: number for number, layer in enumerate(LAYERS) for room in layer}
LIGHT = {
    "errors",
    "settings",
    "generators",
    "database",
    "models",
    "records",
    "repos",
}  # a script that imports them loads no server
HEAVY = {"flask", "numpy", "soundfile", "soxr", "httptools", "uvloop", "werkzeug"}
LONGEST = 350  # lines


def product() -> list[Path]:
    """The files of the product: the modules at the root, and those of the packages."""
    return sorted([*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))])


def module_name(path: Path) -> str:
    """The dotted name of a file of the product."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(path: Path) -> str:
    """The package or root module that a file belongs to."""
    return module_name(path).split(".")[0]


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, also inside functions."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    """The packages and root modules of the product that a file imports, other than its own."""
    return ({name.split(".")[0] for name in imports(path)} & ROOMS.keys()) - {room_of(path)}


def test_every_root_module_and_package_has_its_layer() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert {path.stem for path in ROOT.glob("*.py")} | packages == ROOMS.keys()


def test_the_root_has_at_most_eight_modules() -> None:
    assert len(list(ROOT.glob("*.py"))) <= 8


def test_imports_run_one_way() -> None:
    wrong = [
        f"{module_name(path)} imports {other}"
        for path in product()
        for other in rooms_imported(path)
        if ROOMS[other] >= ROOMS[room_of(path)]
    ]
    assert wrong == []


def test_the_lower_layers_import_no_server_and_no_sound() -> None:
    lower = [path for path in product() if room_of(path) in LIGHT]
    wrong = {module_name(path): {name.split(".")[0] for name in imports(path)} & HEAVY for path in lower}
    assert len(lower) > 20 and {name: modules for name, modules in wrong.items() if modules} == {}


def test_no_module_is_longer_than_350_lines() -> None:
    paths = [*product(), *ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


IMPORT_EACH_ALONE = """
import importlib, os, sys, threading
import cysqlite, flask, httptools, numpy, peewee, psycopg, pydantic_settings, soundfile, soxr

def descriptors():
    numbers = os.listdir("/proc/self/fd")
    return {number for number in numbers if os.path.lexists(f"/proc/self/fd/{number}")}  # not the one that listed

def effects(name):
    opened = descriptors()
    importlib.import_module(name)
    if "database" in sys.modules and not sys.modules["database"].database.is_closed():
        yield "connects to the database"
    if threading.active_count() > 1:
        yield f"starts {threading.enumerate()}"
    for number in descriptors() - opened:
        yield "opens " + os.readlink(f"/proc/self/fd/{number}")
    if os.listdir():
        yield f"makes {os.listdir()}"

def report(name):
    try:
        for effect in effects(name):
            print(name, effect)
    except BaseException as error:
        print(name, "cannot be imported alone:", repr(error))

for names in sys.argv[1:]:
    if not (child := os.fork()):
        for name in names.split():
            report(name)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""  # what others wrote is imported before, once for all: that is what takes long


def what_imports_do(folder: Path, names: list[str], path: Path = ROOT) -> str:
    """One line for each thing that importing these modules does, each alone; run in an empty folder.

    Names in one text are imported one after another.
    """
    environment = clean_environment(PYTHONPATH=str(path))
    command = [sys.executable, "-c", IMPORT_EACH_ALONE, *names]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout


def test_every_module_can_be_imported_alone_and_opens_nothing(tmp_path: Path) -> None:
    names = [module_name(path) for path in product() if path.parent.name != "migrations"]
    packages = [name for name in names if "." not in name]
    assert what_imports_do(tmp_path, [*thorough(names, packages), " ".join(names)]) == ""


def test_what_an_import_does_is_seen(tmp_path: Path) -> None:
    waiting = "threading.Thread(target=threading.Event().wait, daemon=True)"
    (tmp_path / "thread.py").write_text(f"import threading; {waiting}.start()")
    (tmp_path / "opener.py").write_text("import socket; connection = socket.socket()")
    (tmp_path / "alone.py").write_text("import nowhere")
    folder = tmp_path / "empty"
    folder.mkdir()
    report = what_imports_do(folder, ["thread", "opener", "alone"], tmp_path)
    assert "thread starts" in report and "opener opens socket" in report and "alone cannot be imported" in report


def test_what_a_script_imports_loads_no_server_and_no_sound() -> None:
    code = "import sys, models, repos; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) & HEAVY == set()
