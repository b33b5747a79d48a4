// The keys of the player.

import { get } from "./elements.js";
import { player } from "./player.js";
import { recall, store } from "./storage.js";

const OFF = "keys-off"; // in localStorage
const STEP = 5; // seconds
const FIELDS = "input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]";
const ACTS = {
  " ": () => player.toggle(),
  j: () => player.next(),
  k: () => player.previous(),
  l: () => player.repeat(),
  c: () => document.dispatchEvent(new Event("compare")), // the page of a job listens
  s: () => document.querySelector("#player-star:not([hidden])")?.requestSubmit(),
  ArrowLeft: () => player.seek(player.time - STEP),
  ArrowRight: () => player.seek(player.time + STEP),
  ...Object.fromEntries([...Array(9).keys()].map((place) => [String(place + 1), () => player.choose(place)])),
};

/** Start to listen to the keys. */
export function startKeys() {
  const dialog = get("player-keys");
  const isOn = get("player-keys-on");
  isOn.checked = recall("localStorage", OFF) === null;
  isOn.addEventListener("change", () => store("localStorage", OFF, isOn.checked ? null : true));
  addEventListener("keydown", (event) => {
    if (!isOn.checked || isForOthers(event)) return;
    if (event.key === "?") dialog.showModal();
    else if (player.current) act(event);
  });
}

/** The digits are keys by their place: a French keyboard has other letters there. */
function act(event) {
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  const key = digit ?? (event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (!Object.hasOwn(ACTS, key) || event.shiftKey) return;
  event.preventDefault();
  ACTS[key]();
}

/** True if the browser or the focused element has its own use for a key. */
function isForOthers({ target, key, ctrlKey, metaKey, altKey, defaultPrevented, isComposing, repeat }) {
  if (defaultPrevented || isComposing || ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return true;
  if (repeat && !key.startsWith("Arrow")) return true;
  if (key === " ") return target.matches(`button, summary, [type=checkbox], ${FIELDS}`);
  return target.matches(key.startsWith("Arrow") ? `[type=range], [tabindex="0"], ${FIELDS}` : FIELDS);
}
