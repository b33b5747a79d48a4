// Brings this page to what a page read just now says, and leaves alone what has not changed: a sound that plays goes on,
// and the focus stays. The server alone knows how a record looks.

const shown = new Map(); // what the server said of each part that is swapped whole

/** Remember what the page was when it came. */
export function begin() {
  for (const part of document.querySelectorAll('[data-live="swap"]')) shown.set(part.id, part.outerHTML);
}

/** Take over from a fresh document what is different in it. */
export function merge(fresh) {
  const restore = focusKeeper();
  for (const part of [...fresh.querySelectorAll("[data-live]")]) {
    const here = document.getElementById(part.id);
    if (here && fresh.contains(part)) (part.dataset.live === "swap" ? swap : mergeList)(here, part, fresh);
  }
  restore();
}

/** The progress, and what is being done, of a record that is shown in an element. */
export function tick(element, { progress, message }) {
  const [bar, percent, words] = ["progress", ".percent", ".message"].map((name) => element.querySelector(name));
  if (bar) bar.value = progress;
  if (percent) percent.textContent = `${progress}%`;
  if (words) words.textContent = message ?? "";
}

/** Read something out to whoever cannot see it change. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** The function, run at most once at a time and once more for all calls meanwhile; a promise of its end. */
export function coalesced(act) {
  let running = null;
  let following = null;
  const run = () => {
    running = act().finally(() => (running = null));
    return running;
  };
  return () => {
    if (!running) return run();
    following ??= running
      .catch(() => {})
      .then(() => {
        following = null;
        return run();
      });
    return following;
  };
}

/** The function, called once so many milliseconds have passed without another call. */
export function debounced(act, milliseconds) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), milliseconds);
  };
}

function swap(here, part) {
  const html = part.outerHTML;
  if (shown.get(part.id) === html) return;
  shown.set(part.id, html);
  here.replaceWith(part);
}

/** Items that are new or changed come from the fresh list, others stay the same elements, in the fresh order. */
function mergeList(list, freshList, fresh) {
  const items = [...freshList.children];
  const ids = new Set(items.map((item) => item.id));
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
    if (here.dataset.version !== item.dataset.version) here.replaceWith(item);
  }
}

/** Remove what is no longer in the list; what was read further down stays when the fresh list is only its beginning. */
function removeStale(list, ids, goesOn) {
  const items = [...list.children];
  const last = items.findLastIndex((item) => ids.has(item.id));
  const stale = items.filter((item, place) => !ids.has(item.id) && (!goesOn || place < last || last < 0));
  for (const item of stale) item.remove();
}

/** A function that gives the focus back when the element that had it was replaced. */
function focusKeeper() {
  const active = document.activeElement;
  const home = active?.closest("[id]");
  if (!home || active === document.body) return () => {};
  const path = active.id ? null : [...home.querySelectorAll(active.tagName)].indexOf(active);
  return () => {
    if (active.isConnected) return;
    const again = document.getElementById(home.id);
    (path === null ? again : again?.querySelectorAll(active.tagName)[path])?.focus();
  };
}
