"""A/B in a real Chromium: takes start at the same moment, are switched without a gap, and are equally loud."""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile
import soxr
from playwright.sync_api import Page, expect

from files.loudness import LoudnessMeter
from tests.conftest import Server, wait_for
from tests.test_browser import CHROMIUM, Watched, chromium, window

__all__ = ["chromium", "window"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
RATE = 44_100
LEVELS = {"a": 0.3, "b": 0.3 / 10**0.5, "c": 0.1}  # b is 10 dB below a
SECONDS = {"a": 6.0, "b": 6.0, "c": 3.0}
AHEAD = 0.02  # seconds from start() to the first sample
SWITCH = 1.5  # seconds
RENDER = """async ({ids, switches, seconds}) => {
  const { Mix, equalGains } = await import("/static/compare.js");
  const context = new OfflineAudioContext(2, seconds * 44100, 44100);
  const read = async (id) => context.decodeAudioData(await (await fetch(`/api/tracks/${id}/audio`)).arrayBuffer());
  const loudness = async (id) => (await (await fetch(`/api/tracks/${id}/waveform.json?points=1`)).json()).loudness;
  const gains = equalGains(await Promise.all(ids.map(loudness)));
  const mix = new Mix(context, await Promise.all(ids.map(read)), gains, 0);
  let ended = false;
  mix.start(0, () => (ended = true));
  for (const [time, place] of switches) {
    context.suspend(time).then(() => { mix.choose(place); context.resume(); });
  }
  const rendered = await context.startRendering();
  const bytes = new Uint8Array(rendered.getChannelData(0).buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return {samples: btoa(text), gains};
}"""

# Records what reaches the loudspeaker: [time of the context, samples] for each block. A ramp beside it tells the time.
TAP = """() => {
  const { connect } = AudioNode.prototype;
  window.heard = [];
  AudioNode.prototype.connect = function (target, ...more) {
    const { context } = target;
    if (target instanceof AudioDestinationNode && context instanceof AudioContext) {
      const [tap, both] = [context.createScriptProcessor(2048, 2, 1), context.createChannelMerger(2)];
      const clock = new ConstantSourceNode(context);
      clock.offset.setValueAtTime(0, 0);
      clock.offset.linearRampToValueAtTime(100, 100);
      clock.start();
      tap.onaudioprocess = ({ inputBuffer: block }) => {
        const [samples, [time]] = [block.getChannelData(0), block.getChannelData(1)];
        heard.push([time, [...samples]]);
      };
      const wires = [[this, both, 0, 0], [clock, both, 0, 1], [both, tap], [tap, target]];
      for (const [from, ...to] of wires) connect.call(from, ...to);
      window.rate = context.sampleRate;
    }
    return connect.call(this, target, ...more);
  };
}"""


def tone(name: str) -> np.ndarray:
    """Noise of a take, different for each name, at its level; (frames, 2)."""
    mono = np.random.default_rng(ord(name)).uniform(-1, 1, round(SECONDS[name] * RATE)) * LEVELS[name]
    return np.stack([mono, mono], 1).astype(np.float32)


def wav(sound: np.ndarray) -> bytes:
    """A WAV file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="WAV")
    return file.getvalue()


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a job of three takes, and one of ten takes."""
    folder = tmp_path_factory.mktemp("compare")
    running = Server(folder, DB_PATH=str(folder / "app.db"), WORKERS="0").start()
    running.call("POST", "/api/jobs", {"job_id": "song", "prompt": "noise", "job_type": "other", "takes": 3})
    for number, name in enumerate(LEVELS, 1):
        fields = {"track_id": name, "take": number, "seed": number}
        running.call("POST", "/api/jobs/song/tracks", fields)
        upload(running, name, wav(tone(name)))
    running.call("PATCH", "/api/jobs/song", {"status": "completed"})
    yield running
    running.stop()


def upload(running: Server, track_id: str, sound: bytes) -> None:
    """Give a track its sound."""
    url = f"{running.url}/api/tracks/{track_id}/audio"
    urlopen(Request(url, sound, {"Content-Type": "audio/wav"}, method="PUT"), timeout=60).close()


def rendered(page: Page, ids: str, switches: list[tuple[float, int]], seconds: float) -> tuple[np.ndarray, list[float]]:
    """What the takes sound like when they are compared and switched at these times, and their gains."""
    made: Any = page.evaluate(RENDER, {"ids": list(ids), "switches": switches, "seconds": seconds})
    return np.frombuffer(base64.b64decode(made["samples"]), np.float32), made["gains"]


def loudness(mono: np.ndarray) -> float:
    """In LUFS."""
    meter = LoudnessMeter(RATE, 2)
    meter.add(np.stack([mono, mono], 1))
    measured = meter.integrated()
    assert measured is not None
    return measured


def test_a_switch_keeps_the_moment_and_takes_less_than_20_ms(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    heard, gains = rendered(page, "ab", [(SWITCH, 1)], 3)
    shift, switch = round(AHEAD * RATE), round(SWITCH * RATE)
    before, after = (gain * tone(name)[:, 0] for gain, name in zip(gains, "ab", strict=True))
    first, last = switch - 128, switch + round(0.02 * RATE)
    assert np.abs(heard[shift:first] - before[: first - shift]).max() < 1e-3
    assert np.abs(heard[last:] - after[last - shift : len(heard) - shift]).max() < 1e-3
    assert not heard[:shift].any() and np.abs(heard[first:last]).reshape(-1, 101).max(1).min() > 0.01


def test_compared_takes_are_equally_loud(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    levels = {}
    for place, name in enumerate("ab"):
        heard, gains = rendered(page, "ab", [(0, place)], 6)
        levels[name] = loudness(heard)
    assert gains[1] == 1 and gains[0] == pytest.approx(10**-0.5, rel=0.02)
    assert abs(levels["a"] - levels["b"]) <= 0.5
    assert abs(loudness(tone("a")[:, 0]) - loudness(tone("b")[:, 0])) > 9.5


def test_a_shorter_take_ends_earlier(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    heard, _ = rendered(page, "ac", [(0, 1), (5, 0)], 6)
    end = round((SECONDS["c"] + AHEAD) * RATE)
    assert heard[end - 100 : end].any() and not heard[end + 10 : 5 * RATE - 128].any() and heard[-100:].any()


def chosen(page: Page) -> list[str | None]:
    """The letters of the takes on the page, from the first take on."""
    numbers = page.locator("[data-compare]").all()
    return [number.get_attribute("data-letter") for number in numbers]


def compare(page: Page, *takes: int) -> None:
    """Choose these takes by their numbers, and wait until they play."""
    for take in takes:
        page.get_by_role("button", name=f"Compare Take {take}").click()
    wait_for(lambda: position(page) > 0.5, 30)


def position(page: Page) -> float:
    """The seconds in the sound that plays."""
    return float(page.evaluate("import('/static/player.js').then(({player}) => player.time)"))


def places(page: Page) -> dict[str, list[float]]:
    """For each block that was heard: where it is in the take that it comes from, minus the time of its block."""
    blocks, rate = page.evaluate("[heard, rate]")
    sounds = {name: soxr.resample(tone(name)[:, 0], RATE, rate) for name in "ab"}
    found: dict[str, list[float]] = {"a": [], "b": []}
    for time, samples in blocks:
        for name, sound in sounds.items():
            match = np.correlate(sound, np.array(samples, np.float32), "valid")
            best = int(match.argmax())
            if match[best] > 0.9 * np.linalg.norm(samples) * np.linalg.norm(sound[best : best + len(samples)]) > 0:
                found[name].append(best / rate - time)
    return found


def test_a_key_switches_the_take_and_keeps_the_moment(takes: Server, window: Callable[..., Watched]) -> None:
    seen = window()
    page = seen.page
    page.add_init_script(f"({TAP})()")
    page.goto(f"{takes.url}/jobs/song")
    compare(page, 1, 2)
    wait_for(lambda: chosen(page) == ["A", "B", None], 30)
    expect(page.locator("#line-a")).to_have_attribute("data-state", "playing")
    page.keyboard.press("2")
    expect(page.locator("#line-b")).to_have_attribute("data-state", "playing")
    until = position(page) + 0.7
    wait_for(lambda: position(page) > until, 30)
    shifts = places(page)
    assert len(shifts["a"]) > 2 and len(shifts["b"]) > 2
    assert np.ptp([*shifts["a"], *shifts["b"]]) < 0.005
    seen.errors = [error for error in seen.errors if "ScriptProcessorNode" not in error]  # the recorder of this test
    seen.check(takes)


def test_the_last_take_of_a_comparison_plays_on_alone(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    compare(page, 2, 1)
    wait_for(lambda: chosen(page) == ["B", "A", None], 30)
    before = position(page)
    page.get_by_role("button", name="Compare Take 2").click()
    wait_for(lambda: chosen(page) == ["A", None, None], 30)
    expect(page.locator("#line-a")).to_have_attribute("data-state", "playing")
    assert position(page) >= before
    assert page.evaluate("import('/static/player.js').then(({player}) => player.compared.length)") == 0


def test_too_many_takes_are_refused_with_a_sentence(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    reason = "({whyNot}) => whyNot(Array(number).fill({seconds}))"
    why_not = f"([number, seconds]) => import('/static/compare.js').then({reason})"
    assert page.evaluate(why_not, [8, 225]) is None
    assert page.evaluate(why_not, [9, 1]) == "At most 8 takes can be compared."
    assert "76 minutes of sound together" in page.evaluate(why_not, [2, 2251])


def heard(page: Page) -> list[str]:
    """The ids of the sound that is heard and of those that are compared, and the state of the player."""
    parts = "[player.current.key, ...player.compared.map(({key}) => key), player.state]"
    words = page.evaluate(f"import('/static/player.js').then(({{player}}) => {parts})")
    return [word.removeprefix("track:") for word in words]


def test_play_and_the_waveform_of_a_compared_take_choose_it(takes: Server, window: Callable[..., Watched]) -> None:
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    compare(page, 1, 2)
    page.locator("#player-play").click()
    wait_for(lambda: heard(page) == ["a", "a", "b", "paused"], 30)
    slider = page.locator("#line-b .wave > input")
    slider.evaluate("slider => { slider.value = 4; slider.dispatchEvent(new Event('input', { bubbles: true })); }")
    wait_for(lambda: heard(page) == ["b", "a", "b", "playing"] and position(page) > 4, 30)
    wait_for(lambda: heard(page)[-1] == "paused", 30)  # at the end, none follows
    assert heard(page) == ["b", "a", "b", "paused"]
    page.locator("#line-a [data-play]").first.click()
    wait_for(lambda: heard(page) == ["a", "a", "b", "playing"], 30)
    page.get_by_role("link", name="Tracks", exact=True).first.click()
    page.locator('.take[data-sound="track:b"]').click()
    wait_for(lambda: heard(page) == ["b", "playing"], 30)


def test_a_deleted_take_leaves_the_comparison(takes: Server, window: Callable[..., Watched]) -> None:
    for number, name in enumerate("xyz", 4):
        takes.call("POST", "/api/jobs/song/tracks", {"track_id": name, "take": number, "seed": number})
        upload(takes, name, wav(tone("a")))
    page = window().page
    page.goto(f"{takes.url}/jobs/song")
    compare(page, 4, 5, 6)
    takes.call("DELETE", "/api/tracks/x")
    wait_for(lambda: heard(page) == ["y", "y", "z", "playing"], 30)
    expect(page.locator("#player-trouble")).to_contain_text("has been deleted.")
    takes.call("DELETE", "/api/tracks/z")
    wait_for(lambda: heard(page) == ["y", "playing"], 30)
