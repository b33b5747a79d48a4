// Keeps the sound, its place and its queue for a reload, and the choices for the next visit.
// Only one tab plays at a time.

import { player } from "./player.js";
import { Queue } from "./queue.js";
import { recall, store } from "./storage.js";

const EVERY = 1_000; // milliseconds
const SOUND = "player"; // in sessionStorage: it belongs to this tab
const TIME = "player-time"; // beside it; it is written each second, and the queue only when it may have changed
const CHOICES = "player-choices"; // in localStorage
const tabs = connect();

/** Go on where the sound was before a reload. If the browser does not let it play, it is paused there. */
export function resume() {
  const choices = recall("localStorage", CHOICES);
  player.volume = choices?.volume ?? 1;
  if (choices) player.repeating = new Set(choices.repeating);
  const kept = recall("sessionStorage", SOUND);
  if (kept) player[kept.isPaused ? "load" : "play"](kept.sound, new Queue(kept.queue), recall("sessionStorage", TIME) ?? 0);
  keep();
}

function keep() {
  let last = 0;
  const saveTime = () => {
    last = Date.now();
    store("sessionStorage", TIME, player.time);
  };
  const save = () => {
    saveTime();
    store("sessionStorage", SOUND, stateOf());
    store("localStorage", CHOICES, { volume: player.volume, repeating: [...player.repeating] });
  };
  addEventListener("pagehide", save);
  for (const name of ["change", "state"]) player.addEventListener(name, save);
  player.addEventListener("time", () => Date.now() - last > EVERY && saveTime());
  player.addEventListener("state", () => player.state === "playing" && tabs?.postMessage("plays"));
  tabs?.addEventListener("message", () => player.paused || player.toggle());
}

/** The channel to the other tabs; null if the browser forbids it, as it may with all cookies. */
function connect() {
  try {
    return new BroadcastChannel("player");
  } catch {
    return null;
  }
}

function stateOf() {
  const { current: sound, paused: isPaused, queue } = player;
  return sound && { sound, isPaused, queue: queue.near(sound) };
}
