// Plays a sound by an audio element, which this module makes. All engines have this interface: load(sound, at) and play()
// return promises; pause(), seek(seconds), close(); time and duration in seconds, paused, volume, repeats; the events
// "state" (its detail is "playing", "paused" or "loading"), "time", "ended" and "error".

import { create, get, on } from "./elements.js";

const STATES = { playing: "playing", waiting: "loading", pause: "paused" };
const audio = create("audio", { id: "player-audio", preload: "none" });
get("player").prepend(audio);

export class Engine extends EventTarget {
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** The next load() replaces the sound. */
export class ElementEngine extends Engine {
  #seconds = 0; // as the service says, until the browser has read the file

  constructor() {
    super();
    on(audio, Object.keys(STATES).join(" "), ({ type }) => this.tell("state", STATES[type]));
    on(audio, "timeupdate durationchange seeked", () => this.tell("time"));
    on(audio, "ended error", ({ type }) => this.tell(type));
  }

  get time() {
    return audio.currentTime;
  }

  get duration() {
    return Number.isFinite(audio.duration) ? audio.duration : this.#seconds;
  }

  get paused() {
    return audio.paused;
  }

  set volume(volume) {
    audio.volume = volume;
  }

  set repeats(repeats) {
    audio.loop = repeats;
  }

  async load(sound, at = 0) {
    this.#seconds = sound.seconds;
    audio.preload = "metadata";
    audio.src = sound.src;
    if (at) audio.currentTime = at; // the browser starts there when it has read the file
  }

  play() {
    return audio.play();
  }

  pause() {
    audio.pause();
  }

  seek(seconds) {
    audio.currentTime = seconds;
    this.tell("time");
  }

  close() {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
  }
}
