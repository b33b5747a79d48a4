"""Takes the pictures of the pages in docs/: make screenshot. With --all FOLDER, every page in each size and scheme.

Starts the service on a temporary folder, with a worker, real synth songs and loops, and records in every status.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

SIZES = {"1440": (1440, 900), "390": (390, 844)}
# prompt, genre, mood, minutes ago, seconds it took, how it ended
HISTORY = [
    ("Taiko drums and choir for a final battle, slow build, wide brass", "Cinematic", "Epic", 14, 212, "completed"),
    ("Relaxing lo-fi hip hop beat for studying, 82 bpm, vinyl crackle", "Hip-Hop", "Chill", 26, 71, "completed"),
    ("Roots reggae with one-drop drums and a warm organ", "Reggae", "Uplifting", 41, 18, "failed"),
    ("Jazzy nightclub vibe, brushed drums, upright bass, smoky saxophone", "Jazz", "Romantic", 63, 95, "completed"),
    ("Спокойная эмбиент-музыка для сна, без ударных", "Ambient", "Relaxing", 118, 88, "completed"),
    ("Chiptune boss fight, 170 bpm, arpeggios over a driving square bass", "Electronic", "Tense", 190, 6, "cancelled"),
    ("Bossa nova, nylon guitar and soft vocals by the sea", "Latin", "Warm", 1500, 103, "completed"),
    ("Classical piano, hopeful mood, in the manner of a nocturne", "Classical", "Hopeful", 1620, 97, "completed"),
    ("Industrial techno, distorted kick, warehouse reverb, 132 bpm", "Techno", "Dark", 2900, 91, "completed"),
]
SONG = {
    "job_id": "night-train",
    "job_type": "synth",
    "prompt": "Indie folk ballad with acoustic guitar and harmonica, a night train leaving the coast",
    "metadata": {
        "genre": "Folk",
        "mood": "Melancholic",
        "language": "en",
        "tempo": 96,
        "duration": 48,
        "lyrics": "[00:04.00]The platform hums, the night train waits\n[00:11.00]A paper moon above the freight\n"
        "[00:18.00]I counted every harbour light\n[00:25.00]And folded them into the night",
    },
}
TAKES, MADE = 8, 5  # of the song; it is shown while the sixth is made
# prompt, genre, takes, number of the take with a star, seconds
TRACKS = [
    ("One-drop drums and a warm organ", "Reggae", 1, 1, 24),
    ("Brushed drums at midnight, upright bass, smoky saxophone", "Jazz", 2, 2, 32),
    ("Golden hour, slap bass, bright horns", "City pop", 1, None, 28),
    ("Спокойная ночь, без ударных", "Ambient", 1, None, 20),
    ("Taiko for a final battle", "Cinematic", 4, 2, 26),
    ("Low tide, rain, soft piano", "Ambient", 1, None, 30),
    ("Arctic research station, theremin auroras", "Electronic", 3, 1, 36),
]
PICTURES = {"dashboard": "/", "library": "/tracks", "takes": "/jobs/night-train"}


def main() -> None:
    """Write the pictures in docs/, or with --all every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, 1440 and 390 px, light and dark")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ledger-picture-"))
    try:
        with serving(folder, workers=1) as url:
            fill(folder, url)
        with serving(folder, workers=0) as url, browser() as chromium:
            under_way(url)
            if options.all:
                take_all(chromium, url, options.all)
            else:
                for name, path in PICTURES.items():
                    take(chromium, url, path, ROOT / "docs" / f"{name}.png", (1280, 860), "light")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, url: str) -> None:
    """Make real songs and loops, and records like those of a week of use."""
    remember(folder)
    for number, (prompt, genre, takes, starred, seconds) in enumerate(TRACKS):
        song = {"job_id": f"song-{number}", "job_type": "synth", "takes": takes, "seed": 71000 + 40 * number}
        metadata = {"genre": genre, "duration": seconds}
        call(url, "POST", "/api/jobs", {**song, "prompt": prompt, "metadata": metadata})
        wait(lambda song=song: call(url, "GET", f"/api/jobs/{song['job_id']}")["status"] == "completed")
        if starred:
            star(url, song["job_id"], starred)
    call(url, "POST", "/api/jobs", {**SONG, "takes": TAKES, "seed": 71040})
    wait(lambda: len(call(url, "GET", "/api/jobs/night-train/tracks")["items"]) >= MADE)
    track = star(url, "night-train", 3)
    call(url, "PATCH", f"/api/tracks/{track}", {"title": "Night train leaving the coast"})
    call(url, "POST", f"/api/tracks/{track}/loops", {"bars": 8, "format": "WAV", "intro": False})
    wait(lambda: all(loop["status"] in ("COMPLETED", "FAILED") for loop in call(url, "GET", "/api/loops")["items"]))


def star(url: str, job_id: str, take: int) -> str:
    """Star a take of a job. Returns the id of its track."""
    tracks = call(url, "GET", f"/api/jobs/{job_id}/tracks")["items"]
    [track_id] = [track["track_id"] for track in tracks if track["take"] == take]
    call(url, "PATCH", f"/api/tracks/{track_id}", {"starred": True})
    return str(track_id)


def remember(folder: Path) -> None:
    """Write jobs of the last days, as a script does."""
    from models import Job, init_database, utc_now
    from settings import Settings

    init_database(Settings(_env_file=None, db_path=folder / "app.db"))
    for prompt, genre, mood, minutes, seconds, status in HISTORY:
        made = utc_now() - timedelta(minutes=minutes)
        error = "the generator ended with code 1: CUDA out of memory" if status == "failed" else None
        Job.create(
            job_type="diffrhythm",
            prompt=prompt,
            metadata={"genre": genre, "mood": mood},
            status=status,
            progress=100 if status == "completed" else 35,
            error=error,
            created_at=made,
            started_at=made,
            finished_at=made + timedelta(seconds=seconds),
            attempts=1,
        )


def under_way(url: str) -> None:
    """Add pending jobs, and jobs leased to a worker that never ends: two songs, and the next take of the first one."""
    song = call(url, "POST", "/api/jobs/claim", {"worker": "studio-1", "lease_seconds": 3600, "job_types": ["synth"]})
    done = len(call(url, "GET", "/api/jobs/night-train/tracks")["items"])
    message = f"take {done + 1} of {TAKES}: step 21 of 32"
    now = {"status": "generating_audio", "progress": (100 * done + 64) // TAKES, "message": message}
    call(url, "PATCH", f"/api/jobs/{song['job_id']}", now, song["lease_token"])
    house = ("Upbeat 128 bpm house with a rolling bass line", "House", "Energetic")
    arctic = ("Arctic research station, theremin auroras", "Electronic", "Ethereal")
    running = [
        (*house, "generating_audio", 64, "step 21 of 32"),
        (*arctic, "loading_model", 8, "loading the model"),
    ]
    for prompt, genre, mood, status, progress, message in running:
        call(url, "POST", "/api/jobs", {"prompt": prompt, "metadata": {"genre": genre, "mood": mood}, "priority": 9})
        claim = {"worker": "studio-1", "lease_seconds": 3600, "job_types": ["diffrhythm"]}
        job = call(url, "POST", "/api/jobs/claim", claim)
        progress_now = {"status": status, "progress": progress, "message": message}
        call(url, "PATCH", f"/api/jobs/{job['job_id']}", progress_now, job["lease_token"])
    for prompt, genre, mood in (("City pop at golden hour, slap bass, bright horns", "Pop", "Nostalgic"),):
        call(url, "POST", "/api/jobs", {"prompt": prompt, "metadata": {"genre": genre, "mood": mood}})


def take_all(chromium: Any, url: str, folder: Path) -> None:
    """Take the lists, a job, a track, the form and an empty list, in each size and colour scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    track = call(url, "GET", "/api/jobs/night-train/tracks")["items"][0]["track_id"]
    pages = {**PICTURES, "track": f"/tracks/{track}", "new": "/new", "none": "/?q=zither"}
    for size, frame in SIZES.items():
        for scheme in ("light", "dark"):
            for name, path in pages.items():
                take(chromium, url, path, folder / f"{name}-{size}-{scheme}.png", frame, scheme, whole=True)


def take(
    chromium: Any, url: str, path: str, file: Path, frame: tuple[int, int], scheme: str, whole: bool = False
) -> None:
    """Take one picture of a page. The third take of the song plays, if the page shows it."""
    tracks = call(url, "GET", "/api/jobs/night-train/tracks")["items"]
    [third] = [track["track_id"] for track in tracks if track["take"] == 3]
    width, height = frame
    phone = {"is_mobile": True, "has_touch": True, "device_scale_factor": 2} if width < 600 else {}
    viewport = {"width": width, "height": height}
    context = chromium.new_context(viewport=viewport, color_scheme=scheme, locale="en-GB", **phone)
    page = context.new_page()
    page.goto(url + path)
    for wave in page.query_selector_all(".wave[data-seek]:has(> img)"):
        wave.scroll_into_view_if_needed()
        wave.wait_for_selector("xpath=self::*[contains(@class, 'drawn')]", timeout=30_000)
    page.evaluate("scrollTo(0, 0)")
    button = page.query_selector(f"a[data-play][data-sound='track:{third}'], [data-sound='track:{third}'] a[data-play]")
    if button:
        button.click()
        page.wait_for_function("() => document.getElementById('player-audio').currentTime > 17")
    page.wait_for_timeout(600)
    file.parent.mkdir(exist_ok=True)
    page.screenshot(path=file, full_page=whole)
    context.close()


@contextmanager
def browser() -> Iterator[Any]:
    """The Chromium of this machine."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no Chromium here: apt install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def serving(folder: Path, workers: int) -> Iterator[str]:
    """python app.py on a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DB_PATH": str(folder / "app.db"), "STORAGE_DIR": str(folder / "output"), "PORT": str(port)}
    environment = {**os.environ, **settings, "WORKERS": str(workers), "DIFFRHYTHM_COMMAND": ""}
    log = (folder / "log").open("wb")
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: answers(url))
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def answers(url: str) -> bool:
    """True if the service answers."""
    try:
        return bool(call(url, "GET", "/healthz"))
    except OSError:
        return False


def call(url: str, method: str, path: str, body: Any = None, lease: str = "") -> Any:
    """Send a request. Returns the JSON of the answer. Raises OSError."""
    headers = {"Content-Type": "application/json"} | ({"Lease-Token": lease} if lease else {})
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url + path, data, headers, method=method), timeout=20) as answer:
        return json.loads(answer.read() or "null")


def wait(condition: Callable[[], bool], seconds: float = 400) -> None:
    """Wait until a condition is true. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.2)


if __name__ == "__main__":
    main()
