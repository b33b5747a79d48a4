// Keeps the page of a job up to date: its progress, its log, its tracks and their loops.

import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { beginLog } from "./log.js";
import { beginLyrics } from "./lyrics.js";
import { announce, coalesced, debounced, merge, tick } from "./merge.js";
import { player } from "./player.js";
import { tellTimes } from "./times.js";

const SETTLE = 100; // milliseconds
const FINAL = /^(completed|failed|cancelled)$/i;

const state = () => document.getElementById("job-state");

let jobId, isGone; // of the page that is shown

/** Start to update the page, until the signal ends it. Returns the Follower. */
export function begin({ signal }) {
  [jobId, isGone] = [document.getElementById("job").dataset.job, false];
  const refresh = coalesced(() => refreshOnce(signal));
  const follower = new Follower(`/api/jobs/${jobId}/events`, { changed: (event) => changed(event, refresh), refresh, signal });
  follower.start();
  beginLog({ signal });
  beginLyrics({ signal, player });
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

function gone() {
  isGone = true;
  const words = Object.assign(document.createElement("p"), { className: "callout", role: "alert", textContent: "This job has been deleted." });
  if (!document.querySelector("#job > .callout")) document.querySelector(".job-head").after(words);
  document.getElementById("job-actions").replaceChildren();
}
