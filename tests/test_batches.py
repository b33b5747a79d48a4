"""Files of many jobs with odd content, and the transaction that queues them."""

from typing import Any

import pytest

from errors import Invalid, TooLarge, WrongLines
from models import Event, Job
from records.batches import create_jobs
from repos import JobRepository, Page
from settings import Settings
from web.batches import FILES, MOST_BYTES, Batch, kind_of, queue_batch, read_batch

CSV = b"prompt,job_type,priority,metadata.genre,metadata.voice.name\n"
SETTINGS = Settings(_env_file=None)
SEEDS = b"prompt,seed,takes\nrain,4294967295,3\nsnow,,\n"


def batch_of(raw: bytes, kind: str, defaults: dict[str, Any] | None = None) -> Batch:
    """The jobs of a file, for the generators of a service without settings."""
    return read_batch(SETTINGS, raw, kind, defaults)


def errors_of(raw: bytes, kind: str = "csv") -> dict[int, str]:
    """The reasons by line of a file that is refused."""
    return batch_of(raw, kind).wrong


def test_a_csv_file_has_a_field_in_each_column() -> None:
    text = CSV + 'rain,synth,5,Ambient,Ada\n"two\nlines, and ""quotes""",,,,\n\nWort für Wort,,-1,,\n'.encode()
    metadata = {"genre": "Ambient", "voice": {"name": "Ada"}}
    assert batch_of(text, "csv").jobs == {
        2: {"prompt": "rain", "job_type": "synth", "priority": 5, "metadata": metadata},
        3: {"prompt": 'two\nlines, and "quotes"'},
        6: {"prompt": "Wort für Wort", "priority": -1},
    }


def test_a_csv_file_may_have_seeds_and_takes() -> None:
    assert batch_of(SEEDS, "csv").jobs == {2: {"prompt": "rain", "seed": 4294967295, "takes": 3}, 3: {"prompt": "snow"}}
    assert errors_of(SEEDS.replace(b",3", b",33")) == {2: "takes input should be less than or equal to 32"}


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbfprompt\r\nrain\r\n", b"prompt\rrain", b'"prompt"\n\n,\n rain\n'])
def test_files_of_spreadsheets_are_read(raw: bytes) -> None:
    [fields] = batch_of(raw, "csv").jobs.values()
    assert fields["prompt"].strip() == "rain"


def test_a_json_lines_file_has_a_body_in_each_line() -> None:
    raw = '\ufeff{"prompt": "rain", "metadata": {"tempo": 82}}\r\n\n{"prompt": "a\u2028b"}'.encode()
    assert batch_of(raw, "jsonl").jobs == {1: {"prompt": "rain", "metadata": {"tempo": 82}}, 3: {"prompt": "a\u2028b"}}


def test_a_text_file_has_a_prompt_in_each_line() -> None:
    raw = "\ufeffrain, soft\r\n\n  Wort für Wort \rslow waltz".encode()
    assert batch_of(raw, "txt", {"job_type": "synth"}).jobs == {
        1: {"prompt": "rain, soft", "job_type": "synth"},
        3: {"prompt": "Wort für Wort", "job_type": "synth"},
        4: {"prompt": "slow waltz", "job_type": "synth"},
    }
    assert errors_of(b"\n \n", "txt") == {1: "the file has no job"}
    assert errors_of(b"rain\n" + b"x" * 20_001, "txt") == {2: "prompt string should have at most 20000 characters"}


def test_a_file_of_lyrics_is_one_job() -> None:
    lyrics = "[ti:Rain]\n[00:01.00]The rain\n\n[00:04.00]falls"
    defaults = {"prompt": "slow folk", "metadata": {"genre": "Folk"}}
    batch = batch_of(f"\n{lyrics}\n".encode(), "lrc", defaults)
    assert batch.jobs == {1: {"prompt": "slow folk", "metadata": {"genre": "Folk", "lyrics": lyrics}}}
    assert errors_of(lyrics.encode(), "lrc") == {1: "prompt field required"}
    assert errors_of(b"\n", "lrc") == {1: "the file has no job"}


def test_the_ending_of_a_file_says_what_is_in_it() -> None:
    assert [kind_of(name) for name in ("a.b.CSV", "songs.jsonl", "x/y.txt", "rain.lrc")] == [*FILES]
    for name in ("songs.ods", "songs", ".csv", "", "songs.json"):
        with pytest.raises(Invalid, match="must end in .csv, .jsonl, .txt or .lrc"):
            kind_of(name)


def test_a_line_with_the_id_of_another_line_is_no_job() -> None:
    batch = batch_of(b"prompt,job_id\na,one\nb,two\nc,one", "csv")
    assert (list(batch.jobs), list(batch.wrong)) == ([2, 3], [4])


def test_each_job_is_checked_against_its_generator() -> None:
    raw = b"prompt,job_type,metadata.duration,metadata.lyrics,metadata.parameters.speed\n"
    batch = batch_of(raw + b"a,synth,20,la la,\nb,synth,-1,,\nc,synth,20,,2\n", "csv")
    assert list(batch.jobs) == [2] and "lyrics" in batch.notes[2][0]
    assert list(batch.wrong) == [3, 4] and "expected a number of seconds above 0" in batch.wrong[3]
    assert "metadata.parameters.speed there is no such parameter" in batch.wrong[4]


def test_defaults_are_for_lines_that_do_not_have_them() -> None:
    defaults = {"job_type": "synth", "metadata": {"genre": "Folk", "mood": "Calm"}}
    read = batch_of(
        b'{"prompt": "a"}\n{"prompt": "b", "job_type": "x", "metadata": {"genre": "Jazz"}}', "jsonl", defaults
    ).jobs
    assert read[1] == {"prompt": "a", **defaults}
    assert read[2] == {"prompt": "b", "job_type": "x", "metadata": {"genre": "Jazz", "mood": "Calm"}}


def test_every_wrong_line_has_its_number_and_its_reason() -> None:
    rows = [b"rain,,high,,", b'"a\nb",,,,', b",synth,,,", b"ok,a b,101,,", b"x,,,,,6"]
    wrong = errors_of(CSV + b"\n".join(rows))
    assert list(wrong) == [2, 5, 6, 7]
    assert wrong[2] == "priority input should be a valid integer" and wrong[5] == "prompt field required"
    assert wrong[6].startswith("job_type ") and wrong[7] == "The line has 6 values, and the header has 5 columns."


@pytest.mark.parametrize(
    ("raw", "line", "reason"),
    [
        (b"", 1, "the file is empty"),
        (b"prompt\n", 1, "the file has no job"),
        (b"promt\nrain", 1, "column 'promt', which is no field"),
        (b"prompt;job_type\nrain;x", 1, "use commas"),
        (b"prompt,metadata\nrain,x", 1, "metadata.KEY"),
        (b"prompt,prompt\na,b", 1, "column 'prompt' twice"),
        (b"prompt\nrain\nr\xe4in", 3, "is not UTF-8"),
        ("prompt\nrain".encode("utf-16"), 1, "is not UTF-8"),
        (b'prompt\nrain\n"wind', 3, "is not CSV: unexpected end of data"),
        (b"prompt\nra\0in", 2, "U+0000"),
        (b"prompt\n" + b"x" * 20_001, 2, "at most 20000 characters"),
        (b"prompt,job_id\na,one\nb,two\nc,one", 4, "has the job_id one of line 2"),
        (b"prompt,metadata.a,metadata.a.b\nx,1,2", 2, "metadata.a.b needs an object"),
        (b"prompt,metadata..a\nx,1", 2, "metadata..a is no path"),
    ],
)
def test_odd_csv_is_named(raw: bytes, line: int, reason: str) -> None:
    wrong = errors_of(raw)
    assert list(wrong) == [line] and reason in wrong[line]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            b'{"prompt": "a",}',
            "not JSON: Expecting property name enclosed in double quotes at character 16.",
        ),
        (b"[]", "The job is not a JSON object."),
        (b'{"prompt": "a", "speed": 1}', "speed is not known here"),
        (b'{"prompt": "a", "prompt": "b"}', "same key twice"),
        (b'{"prompt": "\\ud800"}', "The line has a lone surrogate"),
        (b'{"prompt": "a", "metadata": ' + b"[" * 200 + b"]" * 200 + b"}", "nested"),
        (b'{"prompt": "a", "priority": 1e999}', "too large"),
    ],
)
def test_odd_json_lines_are_named(line: bytes, reason: str) -> None:
    wrong = errors_of(b'{"prompt": "fine"}\n' + line, "jsonl")
    assert list(wrong) == [2] and reason in wrong[2]


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="64 MB"):
        batch_of(b" " * (MOST_BYTES + 1), "jsonl")
    monkeypatch.setattr("web.batches.MOST_JOBS", 3)
    assert errors_of(b"prompt\na\nb\nc\nd\n") == {5: "is beyond 3 jobs: split the file"}


def test_a_batch_is_created_in_the_order_of_its_lines(ledger: Any) -> None:
    created = create_jobs({line: {"prompt": f"song {line}"} for line in range(2, 502)})
    assert len(created) == 500 and all(is_new for _, is_new in created)
    listed = JobRepository().page(Page(limit=500, descending=False))
    assert [job.prompt for job in listed] == [f"song {line}" for line in range(2, 502)]
    assert Event.select().count() == 500


def test_a_batch_with_a_taken_id_creates_nothing(ledger: Any, job: Job) -> None:
    lines = {2: {"prompt": "a"}, 3: {"job_id": "job-1", "prompt": "b"}, 4: {"job_id": "job-1", "prompt": "c"}}
    with pytest.raises(WrongLines) as refused:
        create_jobs(lines)
    assert list(refused.value.lines) == [3, 4] and "job-1 exists already" in refused.value.lines[3]
    assert [record.job_id for record in Job.select()] == ["job-1"]


def test_a_batch_with_ids_can_be_repeated(ledger: Any) -> None:
    lines = {line: {"job_id": f"song-{line}", "prompt": "rain"} for line in range(3)}
    assert [is_new for _, is_new in create_jobs(lines)] == [True] * 3
    assert [is_new for _, is_new in create_jobs(lines)] == [False] * 3
    assert Job.select().count() == 3


def test_a_batch_with_a_wrong_line_is_not_queued(ledger: Any) -> None:
    batch = batch_of(b"rain\n" + b"x" * 20_001 + b"\nsnow", "txt")
    assert list(batch.jobs) == [1, 3]
    with pytest.raises(WrongLines, match="^One line is wrong, so nothing was queued"):
        queue_batch(batch)
    assert Job.select().count() == 0


def test_a_batch_that_the_database_refuses_creates_nothing(ledger: Any) -> None:
    with pytest.raises(WrongLines) as refused:
        create_jobs({2: {"prompt": "a"}, 3: {"prompt": "b", "progress": 101}})
    assert list(refused.value.lines) == [3] and Job.select().count() == 0
