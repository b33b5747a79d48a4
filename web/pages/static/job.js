// Keeps the page of a job up to date: its progress, its log, its tracks and their loops.

import { readPage, readText } from "./http.js";
import { Follower } from "./live.js";
import { announce, coalesced, debounced, merge, tick } from "./merge.js";
import { tellTimes } from "./times.js";

const LOG_EVERY = 2_000; // milliseconds
const SETTLE = 100;
const LOG_LINES = 200;
const LOG_CHARACTERS = 40_000;
const FINAL = /^(completed|failed|cancelled)$/i;

const state = () => document.getElementById("job-state");

let jobId, log, isGone; // of the page that is shown

/** Start to update the page, until the signal ends it. Returns the Follower. */
export function begin({ signal }) {
  [jobId, log, isGone] = [document.getElementById("job").dataset.job, document.getElementById("log"), false];
  const refresh = coalesced(() => refreshOnce(signal));
  const follower = new Follower(`/api/jobs/${jobId}/events`, { changed: (event) => changed(event, refresh), refresh, signal });
  follower.start();
  log.scrollTop = log.scrollHeight;
  const timer = setInterval(() => followLog(signal), LOG_EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
  return { refresh, follower };
}

async function refreshOnce(signal) {
  if (isGone || signal.aborted) return;
  try {
    const fresh = await readPage(location.pathname, { signal });
    signal.throwIfAborted();
    merge(fresh);
    tellTimes();
  } catch (problem) {
    if (problem.status === 404) gone();
    throw problem;
  }
}

function changed({ entity, entity_id: id, change, data }, refresh) {
  if (entity === "job" && change === "deleted") return gone();
  const element = entity === "job" ? state() : document.getElementById(`${entity}-${id}`);
  const before = element?.dataset.status;
  if (entity !== "track" && change === "updated" && before === data.status) {
    tick(element, data);
    return;
  }
  if (before && before !== data.status && FINAL.test(data.status)) announce(`${entity} ${data.status.toLowerCase()}`);
  settled(refresh);
}

const settled = debounced((refresh) => refresh().catch(() => {}), SETTLE);

async function followLog(signal) {
  const isFinal = FINAL.test(state()?.dataset.status ?? "cancelled");
  if (isGone || document.hidden || log.dataset.final === "true") return;
  try {
    const text = await readText(`/api/jobs/${jobId}/log?tail=${LOG_LINES}`, { signal });
    signal.throwIfAborted();
    log.dataset.final = String(isFinal);
    if (text) showLog(text.slice(-LOG_CHARACTERS));
  } catch {
    // Nothing to do here: the page shows that the service does not answer.
  }
}

function showLog(text) {
  if (log.textContent === text) return;
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.textContent = text;
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function gone() {
  isGone = true;
  const words = Object.assign(document.createElement("p"), { className: "callout", role: "alert", textContent: "This job has been deleted." });
  if (!document.querySelector("#job > .callout")) document.querySelector(".job-head").after(words);
  document.getElementById("job-actions").replaceChildren();
}
