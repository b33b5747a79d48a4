// What is played next: the tracks of the list from which a sound was started, in the order of the list.

import { readPage } from "./http.js";

const MOST = 500; // sounds that are kept for the time after a reload

/** The sound of an element with data-sound. */
export function soundOf(element) {
  const { sound: key, src, title, sub, seconds, home, wave, star, repeat } = element.dataset;
  const starred = star === undefined ? null : star === "true";
  return { key, src, title, sub, seconds: Number(seconds), home, wave, starred, repeat: repeat?.split(",").map(Number) };
}

/** The place of a sound in a list; -1 if it is not there. */
export function placeIn(sounds, sound) {
  return sounds.findIndex(({ key }) => key === sound?.key);
}

export class Queue {
  sounds = [];
  name = null; // of the list
  page = null; // the address of its first part
  next = null; // the address of the part that follows

  constructor(state = {}) {
    Object.assign(this, state);
  }

  /** The queue of the list that an element is in. An element in no list is alone in its queue. */
  static of(element) {
    const list = element.closest("[data-queue]");
    const sounds = list ? soundsIn(list) : [];
    const sound = soundOf(element);
    if (placeIn(sounds, sound) < 0) return new Queue({ sounds: [sound] });
    return new Queue({ sounds, name: list.dataset.queue, page: location.href, next: nextOf(list) });
  }

  /** Take over what the list of this queue has now. What follows the queue in a list that goes on is read when it is played. */
  update() {
    const list = location.href === this.page && this.#listIn(document);
    if (!list) return;
    const sounds = soundsIn(list);
    const known = this.#keys();
    const last = sounds.findLastIndex(({ key }) => known.has(key));
    this.#join(this.next || nextOf(list) ? sounds.slice(0, last + 1) : sounds);
  }

  /** The sound before (-1) or after (1) another one; null at the end. */
  beside(sound, step) {
    return this.sounds[placeIn(this.sounds, sound) + step] ?? null;
  }

  /** The sound after another one. At the end of the queue, this reads the list again, and then its next part. */
  async after(sound) {
    const { page, next } = this;
    if (page && !this.beside(sound, 1)) this.#read(await readPage(page));
    for (let url = next ?? this.next; url && !this.beside(sound, 1); url = this.next) {
      this.next = null;
      this.#read(await readPage(url));
    }
    return this.beside(sound, 1);
  }

  remove({ key }) {
    this.sounds = this.sounds.filter((sound) => sound.key !== key);
  }

  /** The queue around a sound, to be kept for the time after a reload. */
  near(sound) {
    const first = Math.max(0, placeIn(this.sounds, sound) - MOST / 2);
    return { ...this, sounds: this.sounds.slice(first, first + MOST) };
  }

  #keys() {
    return new Set(this.sounds.map(({ key }) => key));
  }

  #listIn(root) {
    return root.querySelector(`[data-queue="${CSS.escape(this.name)}"]`);
  }

  #read(page) {
    const list = this.#listIn(page);
    if (!list) return;
    this.next = nextOf(list);
    this.#join(soundsIn(list));
  }

  /** Put the new sounds of a list behind those that they follow in it; if it has only new ones, they come last. */
  #join(sounds) {
    const known = this.#keys();
    const fresh = new Map(sounds.map((sound) => [sound.key, sound]));
    const added = new Map(); // the key of a sound -> the new ones that follow it
    let before = sounds.some(({ key }) => known.has(key)) ? null : (this.sounds.at(-1)?.key ?? null);
    for (const sound of sounds) {
      if (known.has(sound.key)) before = sound.key;
      else if (added.get(before)?.push(sound) === undefined) added.set(before, [sound]);
    }
    const after = (key) => added.get(key) ?? [];
    this.sounds = [...after(null), ...this.sounds.flatMap((sound) => [fresh.get(sound.key) ?? sound, ...after(sound.key)])];
  }
}

function soundsIn(list) {
  const sounds = [...list.querySelectorAll('[data-sound^="track:"]')].map(soundOf);
  return [...new Map(sounds.map((sound) => [sound.key, sound])).values()];
}

function nextOf(list) {
  return list.querySelector('a[rel="next"]')?.href ?? null;
}
