// What the engines by Web Audio have in common: their samples are in memory, and start at an exact moment.

import { contextOf } from "./context.js";
import { Engine } from "./element.js";
import { problemOf } from "./http.js";

const PATIENCE = 500; // milliseconds; where the browser forbids sounds, it gives no answer

/** An engine, as in element.js. A subclass has read(sound), a promise; stop(); and start(from), which returns when, by the context. */
export class DecodedEngine extends Engine {
  paused = true;
  repeats = false;
  sound = null;
  context = null;
  output = null; // for the sources
  #volume = 1;
  ending = new AbortController();
  #loaded; // a promise
  #isLoaded = false;
  #at = 0; // the place in the sound at #since of the context
  #since = null; // while it plays

  get time() {
    return this.#since === null ? this.#at : this.placeOf(this.#at + Math.max(0, this.context.currentTime - this.#since));
  }

  /** The last place in the sound. */
  get last() {
    return this.duration;
  }

  /** The place in the sound after so many seconds. */
  placeOf(seconds) {
    return Math.min(seconds, this.last);
  }

  set volume(volume) {
    this.#volume = volume;
    if (this.output) this.output.gain.value = volume;
  }

  load(sound, at = 0) {
    [this.sound, this.#at] = [sound, at];
    this.#loaded = this.#load(sound);
    this.#loaded.catch((problem) => this.ending.signal.aborted || this.tell("error", problem));
    return this.#loaded;
  }

  async play() {
    this.paused = false;
    if (!this.#isLoaded) this.tell("state", "loading");
    const resumed = this.context?.resume(); // at once, because the browser wants that in the event of a click
    await this.#loaded;
    const isAllowed = navigator.userActivation?.hasBeenActive; // then a slow answer comes, too
    if (!isAllowed && (await Promise.race([resumed, new Promise((done) => setTimeout(done, PATIENCE, true))]))) return this.pause();
    await resumed;
    if (this.paused || this.#since !== null) return;
    if (this.#at >= this.duration) this.#at = 0;
    this.#start();
  }

  pause() {
    this.paused = true;
    this.#stop();
    this.context?.suspend();
    this.tell("state", "paused");
  }

  seek(seconds) {
    const isPlaying = this.#since !== null;
    this.#stop();
    this.#at = Math.min(seconds, this.last);
    if (isPlaying) this.#start();
    this.tell("time");
  }

  close() {
    this.paused = true;
    this.ending.abort();
    this.#stop();
    this.output?.disconnect();
    this.context?.suspend();
  }

  async decode({ src }) {
    const answer = await fetch(src, { signal: this.ending.signal });
    if (!answer.ok) throw await problemOf(answer);
    return this.context.decodeAudioData(await answer.arrayBuffer());
  }

  /** Call this when the sound has come to its end. */
  finish() {
    this.#stop();
    if (this.repeats) {
      this.#at = 0;
      return this.#start();
    }
    this.paused = true;
    this.tell("ended");
  }

  async #load(sound) {
    this.context = contextOf(sound.repeat?.[2]);
    this.output = new GainNode(this.context, { gain: this.#volume });
    this.output.connect(this.context.destination);
    await this.read(sound);
    this.ending.signal.throwIfAborted();
    this.#isLoaded = true;
    this.tell("time");
  }

  #start() {
    this.#since = this.start(this.#at);
    this.tell("state", "playing");
  }

  #stop() {
    this.#at = this.time;
    this.#since = null;
    this.stop();
  }
}
