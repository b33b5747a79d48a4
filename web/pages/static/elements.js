// Small helpers for the elements of a page and what one does with them.

const hovers = matchMedia("(hover: hover)");

/** Matches if the reader wants little motion. */
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** The element with an id. */
export const get = (id) => document.getElementById(id);

/** A new element with these properties and this content. */
export function create(tag, properties, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

/** Call act for these events of a target, with blanks between their names, until a signal ends that. */
export function on(target, names, act, signal) {
  for (const name of names.split(" ")) target.addEventListener(name, act, { signal });
}

/** True without a modifier key. With one, a click opens a tab or a window. */
export function isPlain({ ctrlKey, metaKey, shiftKey, altKey }) {
  return !(ctrlKey || metaKey || shiftKey || altKey);
}

/** True if the mouse is on an element. After a tap on a touch screen, :hover stays where it was. */
export function isUnderPointer(element) {
  return hovers.matches && element.matches(":hover");
}

/** Set a property if it differs: screen readers and observers would take note of it. */
export function put(target, name, value) {
  if (target[name] !== value) target[name] = value;
}

/** Show a text in a place for messages; without a text, hide the place. */
export function tell(place, text) {
  put(place, "textContent", text);
  place.hidden = !text;
}

/** Mark a form as busy while an act runs. While it is busy, nothing happens. */
export async function whileBusy(form, act) {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  try {
    await act();
  } finally {
    form.ariaBusy = "false";
  }
}

/** Give the focus to the title of the page. Returns it. */
export function focusTitle() {
  const title = document.querySelector("main h1") ?? get("main");
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
  return title;
}

/** Set a parameter of an address; without a value, remove it. */
export function setParameter({ searchParams }, name, value) {
  if (value) searchParams.set(name, value);
  else searchParams.delete(name);
}

/** True if a search field has other words than the address: they were typed before the script that searches had loaded. */
export function isTyped({ name, value }) {
  return value.trim() !== (new URLSearchParams(location.search).get(name) ?? "").trim();
}
