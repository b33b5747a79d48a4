"""The commands that jobs, tracks and loops share: list, show, add, cancel, retry and delete, on the database itself."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from peewee import Expression

from commands.failures import exit_with_sentence
from commands.output import is_narrow, json_option, print_json, print_table, printable
from database import bound_settings
from errors import CannotStart, Invalid, LedgerError, NotFound
from files.storage import Storage
from records import rows
from records.repository import Repository
from records.rows import Row
from web import schemas
from web.answers import part
from web.fragments import array, fragment
from web.reading import validate_query
from web.texts import body_of, fields_of

LIST_OPTIONS_LEFT_OUT = ("offset", "expand")  # the cursor does what offset does; REST alone nests children
Command = Callable[..., Any]
Prepare = Callable[[dict[str, Any]], dict[str, Any]]
Delete = Callable[[Storage, str, None, bool], bool]
ids_argument = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@dataclass(frozen=True)
class Kind:
    """Jobs, tracks or loops: their repository, the schemas of REST, how to select and delete them, their table."""

    name: str
    repo: Any
    query: type[schemas.List]
    body: type[schemas.Body]
    select: Callable[[Any], tuple[Repository[Any], Sequence[Expression]]]
    delete: Delete
    columns: tuple[str, ...]  # a dotted path names a value inside an object
    columns_if_wide: tuple[str, ...]  # a narrow terminal has no room for these
    example_id: str = "ID"

    def row(self, record_id: str) -> Row:
        """The row of a record. Raises NotFound."""
        row: Row | None = self.repo.get_row(record_id) if record_id.isascii() else None
        if row is None:
            raise NotFound(f"there is no such {self.name}")
        return row

    def text(self, row: Row) -> bytes:
        """The record as REST returns it."""
        return fragment(self.repo.model, row)

    def values(self, row: Row) -> dict[str, Any]:
        """The same as an object, without its URLs."""
        values: dict[str, Any] = json.loads(self.text(row))
        return {name: value for name, value in values.items() if name != "urls"}


@contextmanager
def options_named() -> Iterator[None]:
    """Name the options in the sentence of a wrong value; REST speaks of the query and the body."""
    try:
        yield
    except Invalid as error:
        if not error.errors:
            raise
        raise Invalid(
            "; ".join(f"{_named(problem['field'])}: {problem['message']}" for problem in error.errors)
        ) from None


def options_of(schema: Any, left_out: Iterable[str] = ()) -> Callable[[Command], Command]:
    """A decorator: an option for each field of a schema of REST, as text that the schema will read."""
    properties = schema.model_json_schema()["properties"]

    def decorate(command: Command) -> Command:
        for name, field in reversed(properties.items()):
            if name not in left_out:
                command = _option(name, field)(command)
        return command

    return decorate


def texts_of(options: dict[str, Any]) -> dict[str, str]:
    """The options that were set, by field; those of an object by its path: metadata.genre. Raises Invalid."""
    texts: dict[str, str] = {}
    for name, value in options.items():
        if isinstance(value, tuple):
            for pair in value:
                path, has_value, text = pair.partition("=")
                if not has_value or f"{name}.{path}" in texts:
                    raise Invalid(f"--{name} {pair}: write each KEY=VALUE once, such as genre=Ambient.")
                texts[f"{name}.{path}"] = text
        elif value is not None and value is not False:
            texts[name] = "true" if value is True else value
    return texts


def list_command(kind: Kind) -> click.Command:
    """`list`: one page of the records that meet the filters."""

    @click.command("list", help=f"List {kind.name}s, newest first. The options are the parameters of REST.\n\n"
                   f"Example: flask {kind.name}s list --created-after 2026-01-31T00:00:00Z --limit 10")  # fmt: skip
    @options_of(kind.query, LIST_OPTIONS_LEFT_OUT)
    @json_option
    @exit_with_sentence(needs_database=True)
    def list_(as_json: bool, **options: Any) -> None:
        with options_named():
            query = validate_query(kind.query, _parameters(options))
            repo, where = kind.select(query)
            read, cursor = part(repo, query, *where)
        total = repo.count(*where) if query.count else None
        if as_json:
            ending = b"" if total is None else b',"total":%d' % total
            following = json.dumps(cursor).encode()
            click.echo(b'{"items":%b,"next":%b%b}' % (array(map(kind.text, read)), following, ending))
            return
        columns = [name for name in kind.columns if not (is_narrow() and name in kind.columns_if_wide)]
        print_table(
            [name.rpartition(".")[2] for name in columns], [_cells(kind, row, columns) for row in read], is_list=True
        )
        _say_what_is_left(len(read), total, cursor)

    return list_


def show_command(kind: Kind) -> click.Command:
    """`show`: all fields of some records."""

    @click.command(
        "show", help=f"Show all fields of {kind.name}s.\n\nExample: flask {kind.name}s show {kind.example_id}"
    )
    @ids_argument
    @json_option
    @exit_with_sentence(needs_database=True)
    def show(ids: tuple[str, ...], as_json: bool) -> None:
        def print_record(record_id: str) -> None:
            row = kind.row(record_id)
            if as_json:
                click.echo(kind.text(row))
            else:
                values = {name: value for name, value in kind.values(row).items() if value is not None}
                print_table(["field", "value"], [(name, _cell(value)) for name, value in values.items()])

        for_each(ids, print_record)

    return show


def add_command(kind: Kind, example: str) -> click.Command:
    """`add`: one record with these fields."""

    @click.command("add", help=f"Add a {kind.name} and print its id.\n\nExample: flask {kind.name}s add {example}")
    @options_of(kind.body)
    @json_option
    @exit_with_sentence(needs_database=True)
    def add(as_json: bool, **options: Any) -> None:
        add_one(kind, texts_of(options), as_json)

    return add


def add_one(kind: Kind, texts: dict[str, str], as_json: bool, prepare: Prepare = dict) -> dict[str, Any]:
    """Create one record and print its id, or all of it. Returns its fields.

    prepare(fields) returns the fields to record, or raises Invalid.
    """
    with options_named():
        fields = prepare(fields_of(kind.body, body_of(kind.body, texts)))
    row, is_new = kind.repo.create_row(fields)
    print_created(kind, [row], as_json)
    if not is_new:
        click.echo(f"The same {kind.name} existed already.", err=True)
    return fields


def print_created(kind: Kind, created: Sequence[Row], as_json: bool) -> None:
    """Print the ids of these records, or all of them as JSON Lines."""
    for row in created:
        click.echo(kind.text(row) if as_json else row[rows.key(kind.repo.model)])


def change_command(kind: Kind, verb: str, purpose: str) -> click.Command:
    """`cancel` or `retry`: the method of the repository with this name."""

    @click.command(verb, help=f"{purpose}\n\nExample: flask {kind.name}s {verb} {kind.example_id}")
    @ids_argument
    @json_option
    @exit_with_sentence(needs_database=True)
    def change(ids: tuple[str, ...], as_json: bool) -> None:
        def change_one(record_id: str) -> None:
            kind.row(record_id)
            getattr(kind.repo, verb)(record_id)
            row = kind.row(record_id)
            click.echo(kind.text(row) if as_json else _outcome(record_id, kind.values(row)))

        for_each(ids, change_one)

    return change


def delete_command(kind: Kind) -> click.Command:
    """`delete`: records, and their files if --files."""

    @click.command("delete", help=f"Delete {kind.name}s and what belongs to them.\n\n"
                   f"Example: flask {kind.name}s delete {kind.example_id} --files --yes")  # fmt: skip
    @ids_argument
    @click.option("--files", is_flag=True, help="Delete their files, too.")
    @click.option("--yes", is_flag=True, help="Do not ask. Needed if stdin is no terminal.")
    @json_option
    @exit_with_sentence(needs_database=True)
    def delete(ids: tuple[str, ...], files: bool, yes: bool, as_json: bool) -> None:
        what = f"{kind.name} {ids[0]}" if len(ids) == 1 else f"{len(ids)} {kind.name}s"
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("Without a terminal, nobody can be asked: repeat the command with --yes.")
        if not yes:
            click.confirm(f"Delete {printable(what)}{' and all files' if files else ''}?", abort=True, err=True)
        storage = Storage(bound_settings())

        def delete_one(record_id: str) -> None:
            if not (record_id.isascii() and kind.delete(storage, record_id, None, files)):
                raise NotFound(f"there is no such {kind.name}")
            if as_json:
                print_json({f"{kind.name}_id": record_id, "deleted": True})
            else:
                click.echo(f"{record_id}\tdeleted")

        for_each(ids, delete_one)

    return delete


def for_each(ids: Sequence[str], act: Callable[[str], None]) -> None:
    """Call act() for each id. Errors are printed after the id; then the exit code is 1."""
    has_failed = False
    for record_id in ids:
        try:
            act(record_id)
        except CannotStart:  # the database: the others would fail, too
            raise
        except LedgerError as error:
            click.echo(f"{printable(record_id)}: {error}", err=True)
            has_failed = True
    if has_failed:
        sys.exit(1)


def _option(name: str, field: dict[str, Any]) -> Callable[[Command], Command]:
    """The option of one field of a JSON schema."""
    choices = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    kind, values = choices[0].get("type"), choices[0].get("enum") or choices[0].get("items", {}).get("enum", [])
    flag, help_ = f"--{name.replace('_', '-')}", field.get("description") or choices[0].get("description", "")
    if name == "metadata" or kind == "object":
        return click.option(flag, name, multiple=True, metavar="KEY=VALUE", help="May be given several times.")
    if kind == "array":
        help_ = f"One of {', '.join(values)}. May be given several times."
        return click.option(flag, name, multiple=True, metavar="VALUE", help=help_)
    if set(map(str, values)) >= {"True", "False"} or values == ["true", "false"]:
        if field.get("default") is True:
            return click.option(flag.replace("--", "--no-", 1), name, flag_value="false", help=help_)
        return click.option(flag, name, is_flag=True, help=help_)
    help_ = f"One of {', '.join(map(str, values))}." if values else help_
    return click.option(flag, name, metavar="VALUE", help=help_)


def _named(field: str) -> str:
    """The option or argument of a field: --max-attempts, --metadata genre."""
    name, _, path = field.partition(".")
    return "PROMPT" if name == "prompt" else f"--{name.replace('_', '-')} {path}".strip()


def _parameters(options: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a list as a query string has them. Raises Invalid."""
    lists = {name: list(value) for name, value in options.items() if isinstance(value, tuple) and name != "metadata"}
    texts = texts_of({name: value for name, value in options.items() if name not in lists})
    metadata = {name.removeprefix("metadata."): text for name, text in texts.items() if "." in name}
    plain = {name: text for name, text in texts.items() if "." not in name}
    return {**lists, **plain, **({"metadata": metadata} if metadata else {})}


def _cells(kind: Kind, row: Row, columns: Sequence[str]) -> list[str]:
    values = kind.values(row)
    return [_cell(_value(values, name)) for name in columns]


def _value(values: Any, path: str) -> Any:
    """The value at a dotted path of an object; None if the object has no such value."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _cell(value: Any) -> str:
    """A value for people: nothing for null, JSON for numbers and objects."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _outcome(record_id: str, values: dict[str, Any]) -> str:
    is_waiting = values["cancel_requested"] and not values["finished_at"]
    return f"{record_id}\t{values['status']}" + (", its worker was told to stop" if is_waiting else "")


def _say_what_is_left(number: int, total: int | None, cursor: str | None) -> None:
    if total is not None:
        click.echo(f"{number} of {total}", err=True)
    if cursor is not None:
        click.echo(f"There are more: repeat the command with --cursor {cursor}", err=True)
