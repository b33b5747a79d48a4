// Plays a sound by the audio element of the page. All engines have this interface: load(sound, at) and play() return
// promises; pause(), seek(seconds), close(); time and duration in seconds, paused, volume, repeats; and the events
// "state" (its detail is "playing", "paused" or "loading"), "time", "ended" and "error".

const STATES = { playing: "playing", waiting: "loading", pause: "paused" };

/** Plays one sound at a time; the next load() replaces it. */
export class ElementEngine extends EventTarget {
  #audio = document.getElementById("player-audio");
  #seconds = 0; // as the service says, until the browser has read the file

  constructor() {
    super();
    for (const [name, detail] of Object.entries(STATES)) this.#on(name, () => this.#tell("state", detail));
    for (const name of ["timeupdate", "durationchange", "seeked"]) this.#on(name, () => this.#tell("time"));
    for (const name of ["ended", "error"]) this.#on(name, () => this.#audio.currentSrc && this.#tell(name));
  }

  get time() {
    return this.#audio.currentTime;
  }

  get duration() {
    return Number.isFinite(this.#audio.duration) ? this.#audio.duration : this.#seconds;
  }

  get paused() {
    return this.#audio.paused;
  }

  set volume(volume) {
    this.#audio.volume = volume;
  }

  set repeats(repeats) {
    this.#audio.loop = repeats;
  }

  async load(sound, at = 0) {
    this.#seconds = sound.seconds;
    this.#audio.preload = "metadata";
    this.#audio.src = sound.src;
    if (at) this.#audio.currentTime = at; // the browser starts there when it has read the file
  }

  play() {
    return this.#audio.play();
  }

  pause() {
    this.#audio.pause();
  }

  seek(seconds) {
    this.#audio.currentTime = seconds;
    this.#tell("time");
  }

  /** Let go of the sound. */
  close() {
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
  }

  #on(name, act) {
    this.#audio.addEventListener(name, act);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
