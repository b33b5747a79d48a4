// Keeps the sound, its place and its queue for a reload, and the choices for the next visit.
// Only one tab plays at a time.

import { player } from "./player.js";
import { Queue } from "./queue.js";

const EVERY = 1_000; // milliseconds
const SOUND = "player"; // in sessionStorage: it belongs to this tab
const TIME = "player-time"; // beside it; it is written each second, and the queue only when it may have changed
const CHOICES = "player-choices"; // in localStorage
const tabs = new BroadcastChannel("player");

/** Go on where the sound was before a reload. If the browser does not let it play, it is paused there. */
export function resume() {
  const choices = read(localStorage, CHOICES);
  player.volume = choices?.volume ?? 1;
  if (choices) player.repeating = new Set(choices.repeating);
  const kept = read(sessionStorage, SOUND);
  if (kept) player[kept.isPaused ? "load" : "play"](kept.sound, new Queue(kept.queue), read(sessionStorage, TIME) ?? 0);
  keep();
}

function keep() {
  let last = 0;
  const saveTime = () => {
    last = Date.now();
    write(sessionStorage, TIME, player.time);
  };
  const save = () => {
    saveTime();
    write(sessionStorage, SOUND, stateOf());
    write(localStorage, CHOICES, { volume: player.volume, repeating: [...player.repeating] });
  };
  addEventListener("pagehide", save);
  for (const name of ["change", "state"]) player.addEventListener(name, save);
  player.addEventListener("time", () => Date.now() - last > EVERY && saveTime());
  player.addEventListener("state", () => player.state === "playing" && tabs.postMessage("plays"));
  tabs.addEventListener("message", () => player.paused || player.toggle());
}

function stateOf() {
  const { current: sound, paused: isPaused, queue } = player;
  return sound && { sound, isPaused, queue: queue.near(sound) };
}

function read(storage, name) {
  try {
    return JSON.parse(storage.getItem(name));
  } catch {
    return null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, JSON.stringify(value));
  } catch {
    // The storage is full or forbidden: the sound starts anew after a reload.
  }
}
