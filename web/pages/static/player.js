// The player: one sound at a time, which goes on while one moves between the pages.

import { ElementEngine } from "./element.js";
import { send } from "./http.js";
import { Queue } from "./queue.js";
import { RepeatEngine, canRepeat } from "./repeat.js";

const TICK = 50; // milliseconds between two events "time"
const CALM_TICK = 500;
const RESTART = 3; // "previous" restarts a sound that has played longer, in seconds
const MOST_SKIPS = 10; // sounds that cannot be played, one after another
const LONG = "This loop is long: the browser repeats it, which can leave a short gap.";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Its events: "change" (another sound), "state" (playing, paused, loading, or another trouble), and "time". */
class Player extends EventTarget {
  current = null; // a sound, as soundOf() returns it
  queue = new Queue();
  state = "paused";
  trouble = ""; // a sentence about the current sound
  compared = []; // the sounds of a comparison
  #element = new ElementEngine();
  #engine = null;
  #repeating = new Set(["loop"]); // kinds of sounds: track, loop, seam
  #volume = 1;
  #isBroken = false; // the current sound must be loaded again
  #skips = 0;
  #timer;

  constructor() {
    super();
    this.#listen(this.#element);
    document.addEventListener("record", ({ detail }) => detail.change === "deleted" && this.#deleted(detail));
  }

  /** Seconds. */
  get time() {
    return this.#engine?.time ?? 0;
  }

  /** Seconds. */
  get duration() {
    return this.#engine?.duration || this.current?.seconds || 0;
  }

  get paused() {
    return this.state === "paused";
  }

  get isRepeating() {
    return this.current !== null && this.#repeating.has(kindOf(this.current));
  }

  /** The kinds of sounds that repeat. */
  get repeating() {
    return [...this.#repeating];
  }

  set repeating(kinds) {
    this.#repeating = new Set(kinds);
  }

  /** From 0 to 1. */
  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    this.#volume = volume;
    if (this.#engine) this.#engine.volume = volume;
  }

  /** Play a sound from a time on. After it comes what follows in the queue; without one, nothing. */
  play(sound, queue = new Queue({ sounds: [sound] }), at = 0) {
    const number = this.compared.findIndex(({ key }) => key === sound.key);
    if (number >= 0) return this.choose(number);
    this.load(sound, queue, at);
    return this.#begin();
  }

  /** Show a sound without playing it. */
  load(sound, queue, at = 0) {
    this.queue = queue;
    this.compared = [];
    const isGapless = this.#repeating.has(kindOf(sound)) && canRepeat(sound);
    this.#use(isGapless ? new RepeatEngine() : this.#element, sound, at);
    if (sound.repeat && this.isRepeating && !canRepeat(sound)) this.#say(LONG);
  }

  toggle() {
    if (!this.current) return null;
    if (!this.paused) return this.#engine.pause();
    if (this.#isBroken) this.load(this.current, this.queue, this.time);
    return this.#begin();
  }

  async next() {
    if (this.compared.length) return this.#turn(1);
    const before = this.current;
    const sound = before && (await this.queue.after(before).catch((problem) => this.#say(problem.message)));
    if (sound && before === this.current) this.play(sound, this.queue);
  }

  previous() {
    if (this.compared.length) return this.#turn(-1);
    const sound = this.time < RESTART && this.current && this.queue.beside(this.current, -1);
    return sound ? this.play(sound, this.queue) : this.seek(0);
  }

  seek(seconds) {
    this.#engine?.seek(Math.min(Math.max(0, seconds), this.duration));
  }

  /** Turn the repetition of sounds of this kind on or off. */
  repeat() {
    const { current, time, paused, queue } = this;
    if (!current || this.compared.length) return;
    if (!this.#repeating.delete(kindOf(current))) this.#repeating.add(kindOf(current));
    this.#engine.repeats = this.isRepeating;
    if (canRepeat(current)) this.load(current, queue, time);
    if (canRepeat(current) && !paused) this.#begin();
    this.#tell("state");
  }

  /** Play several sounds at once, of which one is heard: choose() switches without a gap. */
  async compare(sounds) {
    const { Comparison } = await import("./compare.js");
    const at = sounds.some(({ key }) => key === this.current?.key) ? this.time : 0;
    const first = Math.max(0, sounds.findIndex(({ key }) => key === this.current?.key));
    this.compared = sounds;
    this.#use(new Comparison(sounds), sounds[first], at);
    return this.#begin();
  }

  /** Hear another one of the sounds that are compared, by its place. */
  choose(number) {
    if (!this.compared[number]) return;
    this.#engine.choose(number);
    this.current = this.compared[number];
    this.#tell("change");
  }

  /** Stop, and forget the sound. */
  close() {
    this.#engine?.close();
    [this.#engine, this.current, this.queue, this.compared] = [null, null, new Queue(), []];
    this.#become("paused");
    this.#tell("change");
  }

  #use(engine, sound, at) {
    if (engine !== this.#engine) {
      this.#engine?.close();
      if (engine !== this.#element) this.#listen(engine);
    }
    [this.#engine, this.current, this.trouble, this.#isBroken] = [engine, sound, "", false];
    engine.volume = this.#volume;
    engine.repeats = this.isRepeating;
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
      if (engine === this.#engine && engine.paused) this.#become("paused"); // the browser forbids it, or the event "error" follows
    }
  }

  #listen(engine) {
    const on = (name, act) => engine.addEventListener(name, (event) => engine === this.#engine && act(event));
    on("state", ({ detail }) => this.#become(detail));
    on("time", () => this.#tell("time"));
    on("ended", () => {
      this.#become("paused");
      this.next();
    });
    on("error", () => this.#failed());
  }

  #become(state) {
    this.state = state;
    clearInterval(this.#timer);
    if (state === "playing") {
      this.#skips = 0;
      this.#timer = setInterval(() => this.#tell("time"), calm.matches ? CALM_TICK : TICK);
    }
    this.#tell("state");
  }

  async #failed() {
    const { current, time, queue } = this;
    this.#become("paused");
    if (this.#engine instanceof RepeatEngine) {
      this.#use(this.#element, current, time);
      return this.#begin();
    }
    this.#isBroken = true;
    const problem = await send(current.src, { headers: { Range: "bytes=0-0" } }).then(() => null, (problem) => problem);
    if (current !== this.current) return;
    if (problem?.status === 404) return this.#skip(`${current.title} cannot be played. ${problem.message}`);
    this.#say(`This sound cannot be played. ${problem?.message ?? "The browser cannot play it."}`);
  }

  /** Go on to the next sound, and say why. */
  async #skip(why) {
    const before = this.current;
    const sound = this.#skips < MOST_SKIPS ? await this.queue.after(before).catch(() => null) : null;
    if (before !== this.current) return;
    this.queue.remove(before);
    const skips = this.#skips + 1;
    if (sound) this.play(sound, this.queue);
    this.#skips = skips;
    this.#say(why);
  }

  #deleted({ entity, entity_id: id }) {
    const key = `${entity}:${id}`;
    if (key !== this.current?.key) return this.queue.remove({ key });
    const why = `${this.current.title} has been deleted.`;
    if (this.paused) this.#say(why);
    else this.#skip(why);
  }

  #turn(step) {
    const { length } = this.compared;
    const place = this.compared.findIndex(({ key }) => key === this.current.key);
    this.choose((place + step + length) % length);
  }

  #say(sentence) {
    this.trouble = sentence;
    this.#tell("state");
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

function kindOf({ key }) {
  return key.split(":")[0];
}

export const player = new Player();
