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

  /** Take over what the list of this queue has now. */
  update() {
    if (location.href === this.page) this.#join(document);
  }

  /** The sound before (-1) or after (1) another one; null at the end. */
  beside({ key }, step) {
    return this.sounds[this.#place(key) + step] ?? null;
  }

  /** The sound after another one. At the end of the queue, this reads the list again, and then its next part. */
  async after(sound) {
    const { page, next } = this;
    if (page && !this.beside(sound, 1)) this.#join(await readPage(page));
    for (let url = next ?? this.next; url && !this.beside(sound, 1); url = this.next) {
      this.next = null;
      this.#join(await readPage(url));
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

  /** Put the new sounds of a page behind those that they follow in its list; those of the next page come last. */
  #join(root) {
    const list = root.querySelector(`[data-queue="${CSS.escape(this.name)}"]`);
    if (!list) return;
    this.next = nextOf(list);
    const sounds = soundsIn(list);
    let place = sounds.some(({ key }) => this.#place(key) >= 0) ? 0 : this.sounds.length;
    for (const sound of sounds) {
      const here = this.#place(sound.key);
      if (here < 0) this.sounds.splice(place, 0, sound);
      else this.sounds[here] = sound;
      place = (here < 0 ? place : here) + 1;
    }
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
