// A/B: plays several takes at the same time, and one of them is heard. All start at the same moment, so that a switch
// changes only gains. The louder takes are turned down to the loudness of the quietest one.

import { problemOf, sendJson } from "./http.js";
import { notify } from "./merge.js";

const MOST_TAKES = 8;
const MOST_MINUTES = 30; // of all takes together: the decoded sound of 30 minutes needs about 700 MB
const RAMP = 0.005; // seconds of a switch
const AHEAD = 0.02; // seconds until a start, so that no sound starts later than another

/** A sentence with the reason why these sounds cannot be compared; null if they can. */
export function whyNot(sounds) {
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

/** Connects decoded sounds to a context. One of them is heard; choose() changes which one. */
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

  /** Start all sounds from these seconds on; ended() is called at the end of the longest one. Returns when, by the context. */
  start(from, ended) {
    this.stop();
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

/** An engine, as in element.js, for several sounds. The longest one decides the duration. Throws Error. */
export class Comparison extends EventTarget {
  repeats = false;
  #sounds;
  #context = new AudioContext();
  #volume = new GainNode(this.#context);
  #ending = new AbortController();
  #chosen = 0;
  #loaded;
  #mix = null;
  #at = 0; // seconds in the sounds at #since of the context
  #since = null; // while they play
  #wants = false; // to play

  constructor(sounds) {
    super();
    const reason = whyNot(sounds);
    if (reason) throw new Error(reason);
    this.#sounds = sounds;
    this.#volume.connect(this.#context.destination);
  }

  get time() {
    const passed = this.#since === null ? 0 : this.#context.currentTime - this.#since;
    return Math.min(this.#at + Math.max(0, passed), this.duration);
  }

  get duration() {
    return Math.max(...(this.#mix?.buffers.map(({ duration }) => duration) ?? this.#sounds.map(({ seconds }) => seconds)));
  }

  get paused() {
    return !this.#wants;
  }

  set volume(volume) {
    this.#volume.gain.value = volume;
  }

  /** Load all sounds. Sound: the one that is heard first. */
  load(sound, at = 0) {
    this.#chosen = Math.max(0, this.#sounds.findIndex(({ key }) => key === sound.key));
    this.#at = at;
    this.#loaded = this.#read();
    this.#loaded.catch((problem) => this.#ending.signal.aborted || this.#tell("error", problem));
    return this.#loaded;
  }

  async play() {
    this.#wants = true;
    if (!this.#mix) this.#tell("state", "loading");
    const resumed = this.#context.resume(); // at once, because the browser wants that in the event of a click
    await this.#loaded.catch(() => {});
    await resumed;
    if (!this.#mix || !this.#wants || this.#since !== null) return;
    if (this.#at >= this.duration) this.#at = 0;
    this.#begin();
    this.#tell("state", "playing");
  }

  pause() {
    this.#wants = false;
    this.#end();
    this.#context.suspend();
    this.#tell("state", "paused");
  }

  seek(seconds) {
    const isPlaying = this.#since !== null;
    this.#end();
    this.#at = Math.min(seconds, this.duration);
    if (isPlaying) this.#begin();
    this.#tell("time");
  }

  /** Hear another sound, by its place in the list, at the same moment. */
  choose(place) {
    this.#chosen = place;
    this.#mix?.choose(place);
  }

  close() {
    this.#wants = false;
    this.#ending.abort();
    this.#end();
    this.#context.close();
  }

  async #read() {
    const [buffers, loudnesses] = await Promise.all([
      Promise.all(this.#sounds.map((sound) => this.#decode(sound))),
      Promise.all(this.#sounds.map(loudnessOf)),
    ]);
    this.#ending.signal.throwIfAborted();
    const unmeasured = this.#sounds.filter((_, place) => loudnesses[place] === null);
    if (unmeasured.length) notify(`Without a measured loudness, played as it is: ${unmeasured.map(({ sub, title }) => sub || title).join("; ")}.`);
    this.#mix = new Mix(this.#context, buffers, equalGains(loudnesses), this.#chosen, this.#volume);
    this.#tell("time");
  }

  async #decode({ src }) {
    const answer = await fetch(src, { signal: this.#ending.signal });
    if (!answer.ok) throw await problemOf(answer);
    return this.#context.decodeAudioData(await answer.arrayBuffer());
  }

  #begin() {
    this.#since = this.#mix.start(this.#at, () => this.#finish());
  }

  #end() {
    this.#at = this.time;
    this.#since = null;
    this.#mix?.stop();
  }

  #finish() {
    this.#end();
    if (this.repeats) {
      this.#at = 0;
      return this.#begin();
    }
    this.#wants = false;
    this.#tell("ended");
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** The loudness of a track in LUFS; null if it is silent or cannot be measured. */
async function loudnessOf({ key }) {
  const answer = await sendJson(`/api/tracks/${key.split(":")[1]}/waveform.json?points=1`).catch(() => ({}));
  return answer.loudness ?? null;
}
