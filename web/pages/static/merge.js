// Updates this page from a newly loaded one and keeps the parts that have not changed: a playing sound goes on,
// and the focus stays. Only the server renders records.

import { get } from "./elements.js";

const NOTICE = 8_000; // milliseconds
const LONGEST = 1_000;
const FINAL = /^(completed|failed|cancelled)$/i;
const shown = new Map(); // the server's text of each part that is replaced as a whole

let notice;

/** Store the parts of the page as the server sent them. */
export function begin() {
  shown.clear();
  for (const part of document.querySelectorAll('[data-live="swap"]')) shown.set(part.id, part.outerHTML);
}

/** Replace the parts that differ in a newly loaded document. */
export function merge(fresh) {
  const restore = keepFocus();
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const here = get(part.id);
    if (here && fresh.contains(part)) (part.dataset.live === "swap" ? swap : mergeList)(here, part);
  }
  restore();
}

/** Show the progress and the message of a record in its element. */
export function tick(element, { progress, message }) {
  const [bar, percent, words] = ["progress", ".percent", ".message"].map((name) => element.querySelector(name));
  if (bar) bar.value = progress;
  if (percent) percent.textContent = `${progress}%`;
  if (words) words.textContent = message ?? "";
}

/** True if a job or a loop with this status has ended. */
export function isFinal(status) {
  return FINAL.test(status);
}

/** Announce a text to screen readers. */
export function announce(text) {
  get("announcer").textContent = text;
}

/** Announce a text, and show it for a moment. */
export function notify(text) {
  const { classList } = get("announcer");
  announce(text);
  classList.add("shown");
  clearTimeout(notice);
  notice = setTimeout(() => classList.remove("shown"), NOTICE);
}

/** Wrap a function: it runs once at a time, and once more for all calls during a run. Returns a promise of its end. */
export function coalesced(act) {
  let running = null;
  let following = null;
  const run = () => {
    following = null;
    return (running = act().finally(() => (running = null)));
  };
  return () => (running ? (following ??= running.catch(() => {}).then(run)) : run());
}

/** Wrap a function: it runs after these milliseconds without another call, and at the latest a second after the first call. */
export function debounced(act, milliseconds) {
  let timer = null;
  let latest;
  const run = () => {
    timer = null;
    act();
  };
  return () => {
    if (timer === null) latest = performance.now() + LONGEST;
    clearTimeout(timer);
    timer = setTimeout(run, Math.min(milliseconds, latest - performance.now()));
  };
}

/** True if one types the name of a record in this part, or if the part is in such a form. A later merge takes the change. */
export function isEdited(part) {
  return Boolean(part.closest("[data-editing]") ?? part.querySelector("[data-editing]"));
}

function swap(here, part) {
  const html = part.outerHTML;
  if (shown.get(part.id) === html || isEdited(here)) return;
  shown.set(part.id, html);
  here.replaceWith(part);
}

/** New and changed items, the attributes and the order come from the fresh list. The other elements stay. */
function mergeList(list, fresh) {
  for (const { name, value } of fresh.attributes) if (list.getAttribute(name) !== value) list.setAttribute(name, value);
  const items = new Map([...fresh.children].map((item) => [item.id, item]));
  const old = new Map([...list.children].map((item) => [item.id, item]));
  for (const [id, here] of old) if (!items.has(id)) here.remove();
  let place = list.firstElementChild;
  for (const [id, item] of items) {
    const here = old.get(id);
    if (here) place = here.nextElementSibling;
    if (!here) list.insertBefore(item, place);
    else if (here.dataset.version !== item.dataset.version && !isEdited(here)) here.replaceWith(item);
  }
}

/** A function that sets the focus again if the focused element was replaced. */
export function keepFocus() {
  const active = document.activeElement;
  const home = active?.closest("[id]");
  if (!home || active === document.body) return () => {};
  const path = active.id ? null : [...home.querySelectorAll(active.tagName)].indexOf(active);
  return () => {
    if (active.isConnected) return;
    const again = get(home.id);
    (path === null ? again : again?.querySelectorAll(active.tagName)[path])?.focus();
  };
}
