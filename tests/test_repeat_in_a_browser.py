"""A loop repeats without a gap in a real Chromium: its samples, rendered by the same graph as the player's."""

import io
from base64 import b64decode
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.conftest import Server, wait_for
from tests.played import add_job, add_loop, expect_sound, play, serve, state_of
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
SECONDS = 2  # of the files
# Renders what the player plays into memory, as text.
RENDER = """async ([url, part, seconds, rate]) => {
  const { repeatingSource } = await import("/static/repeat.js");
  const bytes = await (await fetch(url)).arrayBuffer();
  const context = new OfflineAudioContext(1, seconds * rate, rate);
  const source = repeatingSource(context, await context.decodeAudioData(bytes), part);
  source.connect(context.destination);
  source.start(0, 0);
  const samples = new Blob([(await context.startRendering()).getChannelData(0)]);
  const reader = new FileReader();
  reader.readAsDataURL(samples);
  await new Promise((done) => (reader.onload = done));
  return reader.result.split(",")[1];
}"""

# Presses keys before anything else can happen.
PRESS = "keys => keys.forEach(key => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })))"


def music(rate: int) -> np.ndarray:
    """Noise without its highest frequencies, which an MP3 keeps well; the start and the end are loud."""
    samples = np.random.default_rng(3).normal(0, 0.3, SECONDS * rate + 15)
    return np.convolve(samples, np.hanning(16) / np.hanning(16).sum(), "valid").astype(np.float32)


def encoded(samples: np.ndarray, rate: int, kind: str) -> bytes:
    """The samples as a WAV or MP3 file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, **({"subtype": "FLOAT"} if kind == "WAV" else {}))
    return file.getvalue()


def repeated(samples: np.ndarray, start: int, end: int, length: int) -> np.ndarray:
    """What one must hear: the samples up to the end of the part, then the part again and again."""
    places = np.arange(length)
    return samples[np.where(places < end, places, start + (places - end) % (end - start))]


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with loops: WAV and MP3 at two sample rates, one with a part that repeats, and one that is very long."""
    service = serve(tmp_path_factory.mktemp("looped"))
    add_job(service, "song", [30])
    for kind in ("WAV", "MP3"):
        for rate in (44_100, 48_000, 22_050):
            add_loop(service, "song-1", f"{kind}-{rate}", encoded(music(rate), rate, kind), kind)
    part = {"loop_start": 0.5, "loop_end": 1.5, "rate": 44_100}
    add_loop(service, "song-1", "part", encoded(music(44_100), 44_100, "WAV"), **part)
    add_loop(service, "song-1", "long", encoded(np.zeros(8000 * 400), 8000, "MP3"), "MP3", loop_start=0, loop_end=400)
    yield service
    service.stop()


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
@pytest.mark.parametrize("kind", ["WAV", "MP3"])
@pytest.mark.parametrize("part", [(0, SECONDS), (0.5, 1.2)])
def test_the_repetition_has_no_gap(
    looped: Server, window: Callable[..., Watched], kind: str, rate: int, part: tuple[float, float]
) -> None:
    page = window().page
    page.goto(f"{looped.url}/new")
    rendered = page.evaluate(RENDER, [f"/api/loops/{kind}-{rate}/audio", part, 3 * SECONDS, rate])
    heard = np.frombuffer(b64decode(rendered), np.float32)
    start, end = (round(seconds * rate) for seconds in part)
    expected = repeated(music(rate), start, end, len(heard))
    assert delay(expected, heard, end) == 0 and delay(expected, heard, 2 * end - start) == 0
    if kind == "WAV":
        assert np.abs(heard - expected).max() < 1e-5


def delay(expected: np.ndarray, heard: np.ndarray, seam: int, most: int = 3000) -> int:
    """The samples by which the sound after a seam comes too late."""
    after = expected[seam : seam + 4000]
    fits = np.correlate(heard[seam - 200 : seam + most + len(after)], after)
    return int(np.argmax(fits)) - 200


def open_job(page: Page, service: Server, loop_id: str) -> str:
    """Show the job, and return the name of a loop that only this test plays."""
    page.goto(f"{service.url}/jobs/song")
    return str(page.locator(f'[data-sound="loop:{loop_id}"]').get_attribute("data-title"))


def test_a_loop_repeats_until_one_turns_it_off(looped: Server, window: Callable[..., Watched]) -> None:
    seen = window()
    page = seen.page
    name = open_job(page, looped, "part")
    page.locator('[data-sound="loop:part"] [data-play]').click()
    expect_sound(page, name)
    wait_for(lambda: state_of(page) == "playing", 20)
    assert page.evaluate("document.getElementById('player-audio').currentSrc") == ""  # Web Audio plays it
    slider = page.get_by_role("slider", name="Position", exact=True)
    assert slider.get_attribute("max") == str(SECONDS)
    wait_for(lambda: float(slider.input_value()) > 1.3, 20)
    wait_for(lambda: 0.5 <= float(slider.input_value()) < 1, 20)
    page.keyboard.press("l")
    wait_for(lambda: page.evaluate("document.getElementById('player-audio').currentTime") > 0.5, 20)
    wait_for(lambda: state_of(page) == "paused", 20)
    page.evaluate(PRESS, ["l", " "])  # it plays by the other engine, which takes a moment to come
    wait_for(lambda: state_of(page) == "playing", 20)
    page.keyboard.press("Space")
    before = slider.input_value()
    wait_for(lambda: state_of(page) == "paused", 20)
    assert abs(float(slider.input_value()) - float(before)) < 0.2
    seen.check(looped)


def test_a_very_long_loop_is_repeated_by_the_browser(looped: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    looped.call("PATCH", "/api/loops/long", {"duration": 400})
    open_job(page, looped, "long")
    page.locator('[data-sound="loop:long"] [data-play]').click()
    expect(page.locator("#player-trouble")).to_contain_text("This loop is long")
    wait_for(lambda: page.evaluate("document.getElementById('player-audio').currentTime") > 0.2, 30)
    assert page.evaluate("document.getElementById('player-audio').loop") is True


def test_a_track_is_repeated_by_the_browser(looped: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{looped.url}/jobs/song")
    play(page, "Track song-1")
    page.get_by_role("button", name="Repeat").click()
    assert page.evaluate("document.getElementById('player-audio').loop") is True
