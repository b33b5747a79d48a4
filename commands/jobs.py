"""`flask jobs`: lists, shows, queues, cancels, retries, deletes and watches jobs, discards tracks, pauses the queue."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from commands.discards import discard
from commands.failures import exit_with_sentence
from commands.output import json_option, printable
from commands.records import (
    Kind,
    add_one,
    change_command,
    delete_command,
    list_command,
    options_of,
    print_created,
    show_command,
    texts_of,
)
from commands.watch import watch_command
from database import bound_settings
from errors import WrongLines
from files import deletion
from models import Job
from records import rows, workers
from records.offers import why_not_made
from repos import JobRepository, set_paused
from web import orders, schemas
from web.api.jobs import conditions, matching_jobs
from web.texts import body_of

SHOWN = 20  # lines about a file
DEFAULT_TYPE: str = Job.job_type.default
PROMPT_BYTES = 100_000  # of stdin; the schema refuses less
KIND = Kind(
    name="job",
    repo=JobRepository(),
    query=schemas.JobList,
    body=schemas.NewJob,
    select=lambda query: (matching_jobs(query), conditions(query)),
    delete=deletion.delete_job,
    columns=("job_id", "status", "progress", "job_type", "created_at", "prompt"),
    columns_if_wide=("job_type", "created_at"),
    example_id="rain",
)


@click.group()
def jobs() -> None:
    """List, show, add, cancel, retry, delete and watch jobs.

    Example: flask jobs add "ambient rain, soft piano" --type synth
    """


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="Queue all jobs of a .csv, .jsonl, .txt or .lrc file."
)
@click.option("--type", "job_type", metavar="VALUE", help="The generator, such as diffrhythm or synth.")
@options_of(schemas.NewJob, left_out=("prompt", "job_type"))
@json_option
@exit_with_sentence(needs_database=True)
def add(prompt: str | None, source: Path | None, as_json: bool, **options: Any) -> None:
    """Queue a job and print its id. With - as PROMPT, read the prompt from stdin.

    With --from, queue all jobs of a file, or none if a line is wrong. The first line of a .csv file names the fields,
    such as prompt, job_type, priority and metadata.genre. Each line of a .jsonl file is the body of a request. Each
    line of a .txt file is a prompt. A .lrc file has the lyrics of one job. PROMPT and options are for lines that do not
    have the field.

    Example: flask jobs add --from prompts.csv --type synth
    """
    if prompt is None and source is None:
        raise click.UsageError("Write a PROMPT or --from FILE.")
    if prompt == "-":
        prompt = sys.stdin.buffer.read(PROMPT_BYTES).decode(errors="surrogateescape").strip("\r\n")
    texts = ({} if prompt is None else {"prompt": prompt}) | texts_of(options)
    if source is not None:
        add_batch(source, body_of(schemas.NewJob, texts), as_json)
        return
    fields = add_one(KIND, texts, as_json, _checked)
    print_some(_notes(fields), "notes")
    say_if_not_made([texts.get("job_type", DEFAULT_TYPE)])


@click.command()
@exit_with_sentence(needs_database=True)
def pause() -> None:
    """Let no worker of any machine claim a job. Jobs that run are finished, and loops are made as before.

    Example: flask jobs pause
    """
    set_paused(True)
    click.echo("The queue is paused. Running jobs are finished; flask jobs resume lets the others go on.")


@click.command()
@exit_with_sentence(needs_database=True)
def resume() -> None:
    """Let the workers claim jobs again.

    Example: flask jobs resume
    """
    set_paused(False)
    click.echo("The queue goes on.")


def add_batch(source: Path, defaults: dict[str, Any], as_json: bool) -> None:
    """Queue all jobs of a file, or print what is wrong with it."""
    from web.batches import MOST_BYTES, kind_of, queue_batch, read_batch

    kind = kind_of(str(source))
    with source.open("rb") as file:
        raw = file.read(MOST_BYTES + 1)
    try:
        batch = read_batch(bound_settings(), raw, kind, defaults)
        created = queue_batch(batch)
    except WrongLines as error:
        print_some(_by_line(source, error.lines), "wrong lines")
        raise
    print_created(KIND, [row for row, _ in created], as_json)
    old = sum(not is_new for _, is_new in created)
    click.echo(f"{len(created) - old} jobs queued" + (f", {old} were there already" if old else ""), err=True)
    notes = {line: " ".join(texts) for line, texts in batch.notes.items() if texts}
    print_some(_by_line(source, notes), "lines with notes")
    say_if_not_made(sorted({row[rows.place(Job, "job_type")] for row, _ in created}))


def say_if_not_made(types: Sequence[str]) -> None:
    """Say of which types no worker with these settings makes jobs, and what to do."""
    live = workers.live()
    for job_type in types:
        if reason := why_not_made(bound_settings(), job_type, live):
            click.echo(f"Jobs of type {job_type} wait: {reason}.", err=True)


def print_some(sentences: Sequence[str], kind: str) -> None:
    """Print the first of these sentences on stderr, and how many more there are."""
    for sentence in sentences[:SHOWN]:
        click.echo(printable(sentence), err=True)
    if len(sentences) > SHOWN:
        click.echo(f"and {len(sentences) - SHOWN} more {kind}", err=True)


def _by_line(source: Path, lines: Mapping[int, str]) -> list[str]:
    return [f"{source.name} line {number}: {reason}" for number, reason in sorted(lines.items())]


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a job as its generator can use them. Raises Invalid."""
    read = orders.read_texts(bound_settings(), fields)
    _notes(read)
    return read


def _notes(fields: dict[str, Any]) -> list[str]:
    """What the generator of a job drops or changes. Raises Invalid."""
    return orders.check_new(bound_settings(), fields)


for command in (
    list_command(KIND),
    show_command(KIND),
    add,
    change_command(KIND, "cancel", "Cancel jobs. A job that is being made ends when its worker notices."),
    change_command(KIND, "retry", "Put jobs that failed or were cancelled back into the queue."),
    discard,
    delete_command(KIND),
    watch_command(KIND),
    pause,
    resume,
):
    jobs.add_command(command)
