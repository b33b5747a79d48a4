"""Odd rows of the old database: what scripts, older versions and other generators wrote."""

from typing import Any

SECOND = 1_714_564_801_000_000  # 2024-05-01 12:00:01 UTC
# (the record, the change, a field and the value that it has then, what the reason says; "" if the row is not listed)
ODD: list[tuple[str, str, Any, str]] = [
    ("job", "status = 'weird'", ("status", "failed"), "the status 'weird' is unknown"),
    ("job", "status = NULL", ("status", "failed"), "the status None is unknown"),
    ("job", "progress = 250", ("progress", 100), "the progress 250 is not from 0 to 100"),
    ("job", "progress = -3", ("progress", 0), "the progress -3"),
    ("job", "progress = 'half'", ("progress", 0), "the progress 'half' is no number"),
    ("job", "progress = '55.7'", ("progress", 55), ""),
    ("job", "progress = 9e999", ("progress", 0), "is no number"),
    ("job", "job_type = 'Diff Rhythm!'", ("job_type", "Diff-Rhythm"), "characters that are not allowed"),
    ("job", "job_type = NULL", ("job_type", "diffrhythm"), ""),
    ("job", "prompt = 'a' || char(0) || 'b'", ("prompt", "a\ufffdb"), "U+0000"),
    ("job", "prompt = CAST(X'6869FF' AS TEXT)", ("prompt", "hi\ufffd"), ""),
    ("job", "job_metadata = 'null'", ("metadata", {}), ""),
    ("job", "job_metadata = NULL", ("metadata", {}), ""),
    ("job", "job_metadata = ''", ("metadata", {}), ""),
    ("job", "job_metadata = '[1]'", ("metadata", {"legacy": {"job_metadata": "[1]"}}), "is no object"),
    ("job", "job_metadata = '{broken'", ("metadata", {"legacy": {"job_metadata": "{broken"}}), "is broken"),
    (
        "job",
        """job_metadata = '{"a":NaN}'""",
        ("metadata", {"a": None, "legacy": {"job_metadata": '{"a":NaN}'}}),
        "NaN",
    ),
    ("job", r"""job_metadata = '{"a":"\ud800"}'""", ("metadata", {"a": "\ufffd"}), ""),
    (
        "job",
        """job_metadata = '{"legacy":1}', progress = -1""",
        ("metadata", {"legacy": 1, "legacy_": {"progress": -1}}),
        "-1",
    ),
    ("job", "created_at = NULL, updated_at = '2024-05-01 12:00:01'", ("version", SECOND), ""),
    ("job", "created_at = NULL, updated_at = NULL, prompt = 'timeless'", ("prompt", "timeless"), "is no time"),
    ("job", "created_at = 'yesterday', updated_at = '2024-05-01T14:00:01+02:00'", ("version", SECOND), "is no time"),
    ("track", "duration = 0", ("duration", None), "no number of seconds above 0"),
    ("track", "duration = -1.5", ("duration", None), "no number of seconds above 0"),
    ("track", "duration = '30.5'", ("duration", 30.5), ""),
    ("track", "duration = 'long'", ("duration", None), "the duration 'long'"),
    ("track", "duration = 9e999", ("duration", None), "the duration inf"),
    ("track", "track_metadata = 'null'", ("metadata", {}), ""),
    ("track", "file_path_wav = '/etc/passwd'", ("file_path_wav", None), "leads out of the storage folder"),
    ("track", "file_path_wav = '../a.wav'", ("file_path_wav", None), "leads out of the storage folder"),
    ("loop", "status = 'rendering'", ("status", "PENDING"), ""),
    ("loop", "format = 'ogg'", ("format", "MP3"), "the format 'ogg' is unknown"),
    ("loop", "fade_in_out = NULL", ("fade_in_out", False), ""),
    ("loop", "progress = NULL", ("progress", 0), ""),
]

# (the table, the statement, what the reason of the first row in the list says)
LEFT_OUT = [
    ("loops", "UPDATE loops SET duration = NULL WHERE loop_id = 'loop-0'", "it has no duration"),
    ("loops", "UPDATE loops SET duration = 0 WHERE loop_id = 'loop-0'", "no number of seconds above 0"),
    ("loops", "DELETE FROM tracks WHERE track_id = 'track-0'", "its track 'track-0' is not here"),
    ("loops", "UPDATE loops SET track_id = '' WHERE loop_id = 'loop-0'", "it has no track_id"),
    ("tracks", "UPDATE tracks SET job_id = 'nobody' WHERE track_id = 'track-0'", "its job 'nobody' is not here"),
    ("tracks", "DELETE FROM jobs WHERE job_id = 'job-0'", "its job 'job-0' is not here"),
    ("jobs", "UPDATE jobs SET job_id = CAST('job-1' AS BLOB) WHERE job_id = 'job-0'", "the id job-1 is there twice"),
    ("jobs", "UPDATE jobs SET job_id = '' WHERE job_id = 'job-0'", "it has no id"),
]
