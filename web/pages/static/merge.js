// Updates this page from a newly loaded one and keeps the parts that have not changed: a playing sound goes on,
// and the focus stays. Only the server renders records.

import { get } from "./elements.js";

const NOTICE = 8_000; // milliseconds
const LONGEST = 1_000;
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
  for (const part of [...fresh.querySelectorAll("[data-live]")]) {
    const here = get(part.id);
    if (here && fresh.contains(part)) (part.dataset.live === "swap" ? swap : mergeList)(here, part, fresh);
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
    running = act().finally(() => (running = null));
    return running;
  };
  return () => {
    if (!running) return run();
    following ??= running.catch(() => {}).then(() => {
      following = null;
      return run();
    });
    return following;
  };
}

/** Wrap a function: it runs when these milliseconds have passed without another call, and a second after the first call at the latest. */
export function debounced(act, milliseconds) {
  let timer = null;
  let latest;
  return (...values) => {
    if (timer === null) latest = performance.now() + LONGEST;
    clearTimeout(timer);
    const run = () => {
      timer = null;
      act(...values);
    };
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
function mergeList(list, freshList, fresh) {
  Object.assign(list.dataset, freshList.dataset);
  const items = [...freshList.children];
  const ids = new Set(items.map((item) => item.id));
  for (const { name, value } of freshList.attributes) if (list.getAttribute(name) !== value) list.setAttribute(name, value);
  removeStale(list, ids, Boolean(fresh.querySelector('a[rel="next"]')));
  const old = new Map([...list.children].map((item) => [item.id, item]));
  let place = list.firstElementChild;
  for (const item of items) {
    const here = old.get(item.id);
    if (here === undefined) {
      list.insertBefore(item, place);
      continue;
    }
    place = here.nextElementSibling;
    if (here.dataset.version !== item.dataset.version && !isEdited(here)) here.replaceWith(item);
  }
}

/** Remove items that are no longer in the list. If the fresh list is only the first part, later items stay. */
function removeStale(list, ids, goesOn) {
  const items = [...list.children];
  const last = items.findLastIndex((item) => ids.has(item.id));
  const stale = items.filter((item, place) => !ids.has(item.id) && (!goesOn || place < last || last < 0));
  for (const item of stale) item.remove();
}

/** Returns a function that sets the focus again if the focused element was replaced. */
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
