// What is played next: the tracks of the list from which a sound was started, in the order of the list.

import { readPage } from "./http.js";

const MOST = 500; // sounds that are kept for the time after a reload

/** The sound of an element with data-sound. */
export function soundOf(element) {
  const { sound: key, src, title, sub, seconds, home, wave, star, repeat } = element.dataset;
  const part = repeat?.split(",").map(Number);
  return { key, src, title, sub, seconds: Number(seconds), home, wave, starred: star === undefined ? null : star === "true", repeat: part };
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
    if (!sounds.some(({ key }) => key === sound.key)) return new Queue({ sounds: [sound] });
    return new Queue({ sounds, name: list.dataset.queue, page: location.href, next: nextOf(list) });
  }

  /** Take over what the list of this queue has now: new sounds, and new names. True if there is a new sound. */
  update(root = document, page = location.href) {
    const list = page === this.page && root.querySelector(`[data-queue="${CSS.escape(this.name)}"]`);
    if (!list) return false;
    this.next = nextOf(list);
    return this.#join(soundsIn(list));
  }

  /** The sound before (-1) or after (1) another one; null at the end. */
  beside({ key }, step) {
    return this.sounds[this.#place(key) + step] ?? null;
  }

  /** The sound after another one. At the end of the queue, this reads whether the list has become longer. */
  async after(sound) {
    const next = this.beside(sound, 1);
    if (next || !this.page) return next;
    this.update(await readPage(this.page), this.page);
    for (let { next: url } = this; url && !this.beside(sound, 1); url = this.next) {
      const list = (await readPage(url)).querySelector(`[data-queue="${CSS.escape(this.name)}"]`);
      this.next = list && nextOf(list);
      if (list) this.#join(soundsIn(list));
    }
    return this.beside(sound, 1);
  }

  remove({ key }) {
    this.sounds = this.sounds.filter((sound) => sound.key !== key);
  }

  /** The queue around a sound, to be kept for the time after a reload. */
  near({ key }) {
    const first = Math.max(0, this.#place(key) - MOST / 2);
    return { ...this, sounds: this.sounds.slice(first, first + MOST) };
  }

  /** Put the new ones of these sounds behind those that they follow in the list. */
  #join(sounds) {
    const before = this.sounds.length;
    let place = 0;
    for (const sound of sounds) {
      const here = this.#place(sound.key);
      if (here < 0) this.sounds.splice(place, 0, sound);
      else this.sounds[here] = sound;
      place = (here < 0 ? place : here) + 1;
    }
    return this.sounds.length > before;
  }

  #place(key) {
    return this.sounds.findIndex((sound) => sound.key === key);
  }
}

function soundsIn(list) {
  const sounds = [...list.querySelectorAll('[data-sound^="track:"]')].map(soundOf);
  return [...new Map(sounds.map((sound) => [sound.key, sound])).values()];
}

function nextOf(list) {
  return list.querySelector('a[rel="next"]')?.href ?? null;
}
