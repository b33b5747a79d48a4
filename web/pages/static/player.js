// The player: one sound at a time, which goes on while one moves between the pages.

import { wake } from "./context.js";
import { ElementEngine } from "./element.js";
import { calm, on } from "./elements.js";
import { load, send } from "./http.js";
import { Queue, placeIn } from "./queue.js";

const [TICK, CALM_TICK] = [50, 500]; // milliseconds between two events "time"
const RESTART = 3; // "previous" starts a sound again that has played longer, in seconds
const MOST_SECONDS = 300; // of a file that is kept in memory: as samples, five minutes of stereo take 115 MB
const LONG = "This loop is long: the browser repeats it, which can leave a short gap.";
const SHOWN = ["title", "sub", "starred", "src", "wave"]; // what the list of the queue can change

/** Its events: "change" (another sound), "state" (playing, paused or loading, or another trouble) and "time". */
class Player extends EventTarget {
  current = null; // a sound, as soundOf() returns it
  queue = new Queue();
  state = "paused";
  trouble = ""; // a sentence about the current sound
  compared = []; // the sounds of a comparison
  repeating = new Set(["loop"]); // kinds of sounds that repeat: track, loop, seam
  #element = new ElementEngine();
  #engine = this.#element;
  #volume = 1;
  #isBroken = false; // the current sound must be loaded again
  #timer;
  #wanted; // the sound that was loaded last
  #page; // the address of the page that started the comparison

  constructor() {
    super();
    this.#listen(this.#element);
  }

  /** Seconds, as the duration. */
  get time() {
    return this.#engine.time;
  }

  get duration() {
    return this.#engine.duration;
  }

  get paused() {
    return this.state === "paused";
  }

  get isRepeating() {
    return this.current !== null && this.repeating.has(kindOf(this.current));
  }

  /** From 0 to 1. */
  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    this.#volume = this.#engine.volume = volume;
  }

  /** Play a sound from a time on. After it comes what follows in the queue. A sound of another page ends a comparison. */
  async play(sound, queue, at = null) {
    const isHere = queue === this.queue || queue.page === this.#page;
    const place = isHere ? placeIn(this.compared, sound) : -1;
    if (place >= 0) {
      this.choose(place);
      if (at !== null) this.seek(at);
      return this.paused && this.#begin();
    }
    if (canRepeat(sound)) wake(sound.repeat[2]);
    await this.load(sound, queue, at ?? 0);
    return sound === this.#wanted && this.#begin();
  }

  /** Say why the current sound cannot be played. If one plays it again, it is loaded again. */
  stumble(why) {
    this.#isBroken = true;
    this.say(why);
  }

  /** Show a sound without playing it. */
  async load(sound, queue, at = 0) {
    [this.queue, this.compared, this.#wanted] = [queue, [], sound];
    this.trouble = sound.repeat && !canRepeat(sound) && this.repeating.has(kindOf(sound)) ? LONG : "";
    const engine = await this.#engineFor(sound);
    if (sound === this.#wanted) this.#use(engine, sound, at);
  }

  async toggle() {
    if (!this.current) return null;
    if (!this.paused) return this.#engine.pause();
    if (this.#isBroken) await this.load(this.current, this.queue, this.time);
    return this.#begin();
  }

  async next() {
    const { current, queue } = this;
    if (this.compared.length) return this.#turn(1);
    const sound = current && (await queue.after(current).catch(({ message }) => this.say(message)));
    return sound && current.key === this.current?.key && this.play(sound, queue);
  }

  previous() {
    if (this.compared.length) return this.#turn(-1);
    const sound = this.time < RESTART && this.current && this.queue.beside(this.current, -1);
    return sound ? this.play(sound, this.queue) : this.seek(0);
  }

  seek(seconds) {
    this.#engine.seek(Math.min(Math.max(0, seconds), this.duration));
  }

  /** Turn the repetition of sounds of this kind on or off. */
  async repeat() {
    const { current } = this;
    if (!current || this.compared.length) return;
    if (!this.repeating.delete(kindOf(current))) this.repeating.add(kindOf(current));
    this.#engine.repeats = this.isRepeating;
    this.#tell("state");
    if (!canRepeat(current)) return;
    wake(current.repeat[2]);
    const engine = await this.#engineFor(current);
    if (current !== this.#wanted || this.compared.length || engine === this.#engine) return;
    const { paused, time } = this.#engine;
    this.trouble = "";
    this.#use(engine, current, time);
    if (!paused) this.#begin();
  }

  /** Play several sounds at once, of which one is heard: choose() switches without a gap. Paused, it waits. Throws Error. */
  async compare(sounds, isPaused = false) {
    wake();
    const { Comparison } = await import("./compare.js");
    const place = placeIn(sounds, this.current);
    const [engine, at] = [new Comparison(sounds), place < 0 && !this.compared.length ? 0 : this.time];
    if (!sounds.every((sound) => this.compared.includes(sound))) this.#page = location.href;
    [this.compared, this.trouble] = [sounds, ""];
    this.#use(engine, sounds[Math.max(0, place)], at);
    return isPaused || this.#begin();
  }

  /** Hear another one of the sounds that are compared, by its place. */
  choose(place) {
    if (!this.compared[place]) return;
    this.#engine.choose(place);
    this.current = this.compared[place];
    this.#tell("change");
  }

  /** Take over what the list of the queue has now: new takes, and another name or star of the current sound. */
  update() {
    this.queue.update();
    const now = this.current && this.queue.beside(this.current, 0);
    if (!now || SHOWN.every((part) => now[part] === this.current[part])) return;
    this.current = now;
    this.#tell("change");
  }

  /** Stop, and forget the sound. */
  close() {
    this.#engine.close();
    [this.#engine, this.current, this.#wanted, this.queue, this.compared] = [this.#element, null, null, new Queue(), []];
    this.#become("paused");
    this.#tell("change");
  }

  async #engineFor(sound) {
    const isHere = () => canRepeat(sound) && this.repeating.has(kindOf(sound)); // all samples, in memory
    const { RepeatEngine } = isHere() ? await import("./repeat.js") : {};
    return isHere() ? new RepeatEngine() : this.#element;
  }

  #use(engine, sound, at) {
    if (engine !== this.#engine) this.#engine.close();
    if (engine !== this.#element) this.#listen(engine);
    [this.#engine, this.current, this.#wanted, this.#isBroken] = [engine, sound, sound, false];
    [engine.volume, engine.repeats] = [this.#volume, this.isRepeating];
    engine.load(sound, at).catch(() => {}); // the event "error" follows
    this.#become("paused");
    this.#tell("change");
  }

  async #begin() {
    const engine = this.#engine;
    this.#become("loading");
    try {
      await engine.play();
    } catch {
      if (engine === this.#engine && engine.paused) this.#become("paused"); // forbidden, or the event "error" follows
    }
  }

  #listen(engine) {
    const hear = (name, act) => on(engine, name, (event) => engine === this.#engine && this.current && act(event));
    hear("state", ({ detail }) => this.#become(detail));
    hear("time", () => this.#tell("time"));
    hear("ended", () => {
      this.#become("paused");
      if (!this.compared.length) this.next();
    });
    hear("error", () => this.#failed());
  }

  #become(state) {
    this.state = state;
    clearInterval(this.#timer);
    if (state === "playing") this.#timer = setInterval(() => this.#tell("time"), calm.matches ? CALM_TICK : TICK);
    this.#tell("state");
  }

  async #failed() {
    const { current, time } = this;
    this.#become("paused");
    if (this.#engine !== this.#element && !this.compared.length) {
      this.#use(this.#element, current, time);
      return this.#begin();
    }
    const problem = await send(current.src, { headers: { Range: "bytes=0-0" } }).then(() => null, (why) => why);
    if (current.key !== this.current?.key) return;
    if (problem?.status !== 404) return this.stumble(`This sound cannot be played. ${problem?.message ?? "The browser cannot play it."}`);
    (await load("gone")).skip(`${current.title} cannot be played. ${problem.message}`);
  }

  #turn(step) {
    const { compared, current } = this;
    this.choose((placeIn(compared, current) + step + compared.length) % compared.length);
  }

  /** Show a sentence in the bar. */
  say(sentence) {
    this.trouble = sentence;
    this.#tell("state");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** True if a sound has a part that repeats, and if it is short enough to have all its samples in memory. */
function canRepeat({ repeat, seconds }) {
  return Boolean(repeat) && seconds <= MOST_SECONDS;
}

function kindOf({ key }) {
  return key.split(":")[0];
}

export const player = new Player();
