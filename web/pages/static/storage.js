// Reads and writes what this browser keeps for the pages. If it forbids that, or is full, nothing is kept.

/** The value with a name in "localStorage" or "sessionStorage"; null without one. */
export function recall(area, name) {
  try {
    return JSON.parse(window[area].getItem(name));
  } catch {
    return null;
  }
}

/** Keep a value under a name; null removes it. */
export function store(area, name, value) {
  try {
    if (value === null) window[area].removeItem(name);
    else window[area].setItem(name, JSON.stringify(value));
  } catch {
    // The browser may forbid even to look at its storage.
  }
}
