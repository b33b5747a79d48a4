// The keys of the player.

import { get, on } from "./elements.js";
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
};

/** Start to listen to the keys. */
export function startKeys() {
  const isOn = get("player-keys-on");
  isOn.checked = recall("localStorage", OFF) === null;
  on(isOn, "change", () => store("localStorage", OFF, isOn.checked ? null : true));
  on(window, "keydown", (event) => {
    if (!isOn.checked || isForOthers(event)) return;
    if (event.key === "?") get("player-keys").showModal();
    else if (player.current && !event.shiftKey) act(event);
  });
}

/** The digits are keys by their place: a French keyboard has other letters there. */
function act(event) {
  const { code, key } = event;
  const digit = /^Digit([1-9])$/.exec(code)?.[1];
  const press = digit ? () => player.choose(digit - 1) : ACTS[key.length === 1 ? key.toLowerCase() : key];
  if (!press) return;
  event.preventDefault();
  press();
}

/** True if the browser or the focused element has its own use for a key. */
function isForOthers({ target, key, ctrlKey, metaKey, altKey, defaultPrevented, isComposing, repeat }) {
  if (defaultPrevented || isComposing || ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return true;
  const isArrow = key.startsWith("Arrow");
  if (repeat && !isArrow) return true;
  if (key === " ") return target.matches(`button, summary, [type=checkbox], ${FIELDS}`);
  return target.matches(isArrow ? `[type=range], [tabindex="0"], ${FIELDS}` : FIELDS);
}
