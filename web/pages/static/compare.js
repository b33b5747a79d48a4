// A/B: plays several takes at the same time, and one of them is heard: a switch changes only gains. The louder takes are
// turned down to the loudness of the quietest one.

import { DecodedEngine } from "./decoded.js";
import { sendJson } from "./http.js";
import { notify } from "./merge.js";

const MOST_TAKES = 8;
const MOST_MINUTES = 30; // of all takes together: the decoded sound of 30 minutes needs about 700 MB
const RAMP = 0.005; // seconds of a switch
const AHEAD = 0.02; // seconds until a start, so that no sound starts later than another

/** A sentence with the reason why these sounds cannot be compared; null if they can. */
export function whyNot(sounds) {
  if (!globalThis.AudioContext) return "This browser cannot play several takes at once.";
  if (sounds.length > MOST_TAKES) return `At most ${MOST_TAKES} takes can be compared.`;
  const minutes = sounds.reduce((sum, { seconds }) => sum + (Number(seconds) || 0), 0) / 60;
  if (minutes <= MOST_MINUTES) return null;
  return `These takes have ${Math.ceil(minutes)} minutes of sound together: at most ${MOST_MINUTES} minutes can be compared.`;
}

/** The gain of each sound at equal loudness. Loudness is in LUFS, or null if it is not measured: that sound keeps its level. */
export function equalGains(loudnesses) {
  const quietest = Math.min(...loudnesses.filter((loudness) => loudness !== null));
  return loudnesses.map((loudness) => (loudness === null ? 1 : 10 ** ((quietest - loudness) / 20)));
}

/** Connects decoded sounds to a context. One of them is heard. */
export class Mix {
  #context;
  #gains;
  #inputs;
  #sources = [];

  constructor(context, buffers, gains, chosen, output = context.destination) {
    [this.#context, this.buffers, this.#gains] = [context, buffers, gains];
    this.#inputs = gains.map((gain, place) => new GainNode(context, { gain: place === chosen ? gain : 0 }));
    for (const input of this.#inputs) input.connect(output);
  }

  /** Start all sounds. ended() is called at the end of the longest one. Returns when they begin, by the context. */
  start(from, ended) {
    this.#sources = this.buffers.map((buffer, place) => {
      const source = new AudioBufferSourceNode(this.#context, { buffer });
      source.connect(this.#inputs[place]);
      return source;
    });
    const when = this.#context.currentTime + AHEAD;
    for (const source of this.#sources) source.start(when, from);
    const longest = this.#sources.reduce((one, other) => (other.buffer.duration > one.buffer.duration ? other : one));
    longest.onended = ended;
    return when;
  }

  stop() {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
    }
    this.#sources = [];
  }

  choose(chosen) {
    const now = this.#context.currentTime;
    for (const [place, { gain }] of this.#inputs.entries()) {
      const { value } = gain;
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(value, now);
      gain.linearRampToValueAtTime(place === chosen ? this.#gains[place] : 0, now + RAMP);
    }
  }
}

/** The engine for several sounds. The longest one decides the duration. Throws Error. */
export class Comparison extends DecodedEngine {
  #sounds;
  #chosen = 0;
  #mix = null;

  constructor(sounds) {
    super();
    const reason = whyNot(sounds);
    if (reason) throw new Error(reason);
    this.#sounds = sounds;
  }

  get duration() {
    return Math.max(...(this.#mix?.buffers ?? this.#sounds).map(({ duration, seconds }) => duration ?? seconds));
  }

  /** Hear another sound, by its place in the list, at the same moment. */
  choose(place) {
    this.#chosen = place;
    this.#mix?.choose(place);
  }

  /** Read all sounds. Sound: the one that is heard first. */
  async read({ key }) {
    this.#chosen = Math.max(0, this.#sounds.findIndex((sound) => sound.key === key));
    const [buffers, loudnesses] = await Promise.all([
      Promise.all(this.#sounds.map((sound) => this.decode(sound))),
      Promise.all(this.#sounds.map(loudnessOf)),
    ]);
    this.ending.signal.throwIfAborted();
    const unmeasured = this.#sounds.filter((_, place) => loudnesses[place] === null).map(({ sub, title }) => sub || title);
    if (unmeasured.length) notify(`The loudness of these takes is not measured, so their volume is not changed: ${unmeasured.join("; ")}.`);
    this.#mix = new Mix(this.context, buffers, equalGains(loudnesses), this.#chosen, this.output);
  }

  start(from) {
    return this.#mix.start(from, () => this.finish());
  }

  stop() {
    this.#mix?.stop();
  }
}

/** The loudness of a track in LUFS; null if it is silent or cannot be measured. */
async function loudnessOf({ key }) {
  const answer = await sendJson(`/api/tracks/${key.split(":")[1]}/waveform.json?points=1`).catch(() => null);
  return answer?.loudness ?? null;
}
