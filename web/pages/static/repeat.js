// Repeats a loop by Web Audio: the last sample of its part is followed by the first one. An audio element leaves a gap.

import { DecodedEngine } from "./decoded.js";

/** A source that plays a buffer and repeats its part from start to end, in seconds. */
export function repeatingSource(context, buffer, [loopStart, loopEnd]) {
  return new AudioBufferSourceNode(context, { buffer, loop: true, loopStart, loopEnd });
}

/** The engine for sounds with a part that repeats. */
export class RepeatEngine extends DecodedEngine {
  #buffer = null;
  #source = null; // while it plays

  get duration() {
    return this.#buffer?.duration ?? this.sound.seconds;
  }

  /** Beyond the part, nothing would repeat. */
  get last() {
    return this.sound.repeat[1] - 0.001;
  }

  placeOf(seconds) {
    const [start, end] = this.sound.repeat;
    return seconds < end ? seconds : start + ((seconds - start) % (end - start));
  }

  async read(sound) {
    this.#buffer = await this.decode(sound);
  }

  start(from) {
    this.#source = repeatingSource(this.context, this.#buffer, this.sound.repeat);
    this.#source.connect(this.output);
    this.#source.start(0, from);
    return this.context.currentTime;
  }

  stop() {
    this.#source?.stop();
    this.#source = null;
  }
}
