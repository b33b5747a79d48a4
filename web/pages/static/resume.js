// Keeps the sound, its place and its queue for a reload, and the choices for the next visit. Only one tab plays at a time.

import { on } from "./elements.js";
import { player } from "./player.js";
import { Queue } from "./queue.js";
import { recall, store } from "./storage.js";

const EVERY = 1_000; // milliseconds
const SOUND = "player"; // in sessionStorage: it belongs to this tab
const TIME = "player-time"; // beside it; it is written each second, and the queue only when it may have changed
const CHOICES = "player-choices"; // in localStorage
const tabs = connect();

let saved = 0; // when the time was saved last

/** Go on where the sound was before a reload. If the browser does not let it play, it is paused there. */
export function resume() {
  const choices = recall("localStorage", CHOICES);
  player.volume = choices?.volume ?? 1;
  if (choices) player.repeating = new Set(choices.repeating);
  const kept = recall("sessionStorage", SOUND);
  if (kept) player[kept.isPaused ? "load" : "play"](kept.sound, new Queue(kept.queue), recall("sessionStorage", TIME) ?? 0);
  on(window, "pagehide", save);
  on(player, "change state", save);
  on(player, "time", () => Date.now() - saved > EVERY && saveTime());
  on(player, "state", () => player.state === "playing" && tabs?.postMessage("plays"));
  if (tabs) on(tabs, "message", () => player.paused || player.toggle());
}

function save() {
  const { current: sound, paused: isPaused, queue, volume, repeating } = player;
  saveTime();
  store("sessionStorage", SOUND, sound && { sound, isPaused, queue: queue.near(sound) });
  store("localStorage", CHOICES, { volume, repeating: [...repeating] });
}

function saveTime() {
  saved = Date.now();
  store("sessionStorage", TIME, player.time);
}

/** The channel to the other tabs; null if the browser forbids it, as it may with all cookies. */
function connect() {
  try {
    return new BroadcastChannel("player");
  } catch {
    return null;
  }
}
