// Says in the title and by a notification when the last job is done. One button asks for it, once for this browser.

import { get, on } from "./elements.js";
import { sendJson } from "./http.js";
import { recall, store } from "./storage.js";

const NAME = "bell"; // in localStorage
const EVERY = 15_000; // ms; a hidden page gets no events
const DONE = "✓ All done · ";
const { classList } = document.documentElement;

let hasStarted = false;
let wasBusy = false;

/** Watch the queue if the button was pressed; else show it. */
export function startBell() {
  if (hasStarted) return;
  hasStarted = true;
  on(document, "click", ({ target }) => target === get("bell") && ask());
  if (recall("localStorage", NAME)) begin();
  else classList.add("can-ask");
}

function ask() {
  classList.remove("can-ask");
  globalThis.Notification?.requestPermission();
  store("localStorage", NAME, true);
  begin();
}

function begin() {
  look();
  setInterval(look, EVERY);
}

async function look() {
  const queue = await sendJson("/api/queue?limit=1").catch(() => null);
  if (!queue) return;
  const isBusy = queue.waiting + queue.running.length > 0;
  if (wasBusy && !isBusy) tell();
  wasBusy = isBusy;
}

function tell() {
  const seen = new AbortController();
  document.title = `${DONE}${document.title}`;
  on(window, "focus pointermove keydown", () => {
    document.title = document.title.replace(DONE, "");
    seen.abort();
  }, seen.signal);
  if (globalThis.Notification?.permission === "granted") new Notification("All jobs are done", { tag: NAME });
}
