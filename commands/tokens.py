"""`flask token`: makes and removes the tokens that clients need, and ends the sessions of browsers."""

import click

from access.contents import OWN, Contents
from access.file import TokensFile
from commands.failures import exit_with_sentence
from commands.output import json_option, print_json, print_table
from settings import get_settings

HEADINGS = ("name", "rights", "created", "last use", "sessions")


@click.group()
def token() -> None:
    """Make, list and remove the tokens of the service. It notices a change within a second.

    Example: flask token add phone
    """


@token.command()
@click.argument("name")
@click.option("--read-only", is_flag=True, help="The token may read, and change nothing.")
@json_option
@exit_with_sentence()
def add(name: str, read_only: bool, as_json: bool) -> None:
    """Make a token, and print it. It is stored as a digest alone, so it cannot be printed again.

    Example: flask token add prometheus --read-only
    """
    tokens = TokensFile(get_settings())
    with tokens.changing() as contents:
        made = contents.add_token(name, read_only)
    if as_json:
        print_json({"name": name, "read_only": read_only, "token": made})
    else:
        click.echo(made)
        click.echo(f"Keep it now: it is not shown again. A service with {tokens.path} asks for a token now.", err=True)


@token.command("list")
@json_option
@exit_with_sentence()
def list_tokens(as_json: bool) -> None:
    """List the tokens with their last use, and the number of browsers that have signed in with each.

    Example: flask token list
    """
    settings = get_settings()
    contents = TokensFile(settings).read() or Contents()
    items = [
        {**one.model_dump(mode="json", exclude={"sha256"}), "sessions": contents.sessions_of(one.name)}
        for one in contents.tokens
    ]
    if settings.api_token:
        unknown = {"read_only": False, "created_at": None, "used_at": None}
        items.append({"name": OWN, **unknown, "sessions": contents.sessions_of(OWN)})
    if as_json:
        print_json({"items": items})
        return
    rights = {True: "read only", False: "full"}
    rows = [
        (one["name"], rights[one["read_only"]], one["created_at"] or "", one["used_at"] or "", one["sessions"])
        for one in items
    ]
    print_table(HEADINGS, rows)


@token.command()
@click.argument("name")
@exit_with_sentence()
def remove(name: str) -> None:
    """Remove a token and end its sessions. Nobody can use it any more.

    Example: flask token remove phone
    """
    with TokensFile(get_settings()).changing() as contents:
        ended = contents.remove_token(name)
        is_last = not contents.tokens
    click.echo(f"{name} is removed. {_sessions(ended)}")
    if is_last and not get_settings().api_token:
        click.echo("This was the last token: until you add one, nobody can sign in.", err=True)


@token.command("sign-out")
@click.argument("name", required=False)
@exit_with_sentence()
def sign_out(name: str | None) -> None:
    """End the sessions of browsers that have signed in with the token NAME, or all sessions. The tokens stay.

    Example: flask token sign-out phone
    """
    with TokensFile(get_settings()).changing() as contents:
        if name is not None and name != OWN:
            contents.require_token(name)
        ended = contents.end_sessions(name)
    click.echo(_sessions(ended))


def _sessions(number: int) -> str:
    return f"{number} session{'' if number == 1 else 's'} ended."
