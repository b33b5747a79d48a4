// Keeps the page of a job up to date: its progress, its log, its takes and their loops.

import { followOffers } from "./discards.js";
import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { beginLog } from "./log.js";
import { beginLyrics } from "./lyrics.js";
import { announce, coalesced, debounced, merge, tick } from "./merge.js";
import { player } from "./player.js";
import { chooseTakes, markTakes } from "./takes.js";
import { tellTimes } from "./times.js";

const SETTLE = 100; // milliseconds
const FINAL = /^(completed|failed|cancelled)$/i;
const STEP = /(\d+) ?\/ ?(\d+)(?: \[|\s*$)|\bstep (\d+) of (\d+)\b/i; // as in web/pages/takes.py

const state = () => document.getElementById("job-state");

let jobId, isGone; // of the page that is shown
let isByKeyboard = false; // the deletion that was sent last

/** Start to update the page, until the signal ends it. Returns the Follower. */
export function begin({ signal }) {
  [jobId, isGone] = [document.getElementById("job").dataset.job, false];
  const refresh = coalesced(() => refreshOnce(signal));
  const follower = new Follower(`/api/jobs/${jobId}/events`, { changed: (event) => changed(event, refresh), refresh, signal });
  follower.start();
  beginLog({ signal });
  beginLyrics({ signal, player });
  document.addEventListener("submit", ({ target, submitter }) => (isByKeyboard = target.matches("[data-discarding]") && submitter.matches(":focus-visible")), { signal });
  chooseTakes(signal);
  showOffers();
  return { refresh, follower };
}

async function refreshOnce(signal) {
  if (isGone || signal.aborted) return;
  try {
    const fresh = await readPage(location.pathname, { signal });
    signal.throwIfAborted();
    merge(fresh);
    tellTimes();
    markTakes();
    showOffers();
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
    if (entity === "job") tickTakes(data);
    return;
  }
  if (before && before !== data.status && FINAL.test(data.status)) announce(`${entity} ${data.status.toLowerCase()}`);
  settled(refresh);
}

const settled = debounced((refresh) => refresh().catch(() => {}), SETTLE);

/** Show the progress of the takes that are made now. The progress of the job counts all its takes. */
function tickTakes({ progress, message }) {
  const [step, of] = (STEP.exec(message ?? "") ?? []).slice(1).filter(Boolean);
  state().querySelector(".message").hidden = Boolean(of); // the row of the take shows it
  for (const row of document.querySelectorAll(".take-coming:has(progress)")) {
    const { takes, done, together } = row.dataset;
    tick(row, { progress: Math.max(0, Math.min(100, Math.floor((progress * takes - 100 * done) / together))) });
    row.querySelector(".take-step").textContent = of ? `, step ${step} of ${of}` : "";
  }
}

function showOffers() {
  const button = followOffers(document.getElementById("undo"), jobId);
  if (!button || !isByKeyboard) return;
  isByKeyboard = false;
  button.focus();
}

function gone() {
  isGone = true;
  const words = Object.assign(document.createElement("p"), { className: "callout", role: "alert", textContent: "This job has been deleted." });
  if (!document.querySelector("#job > .callout")) document.querySelector("#job > h1").after(words);
  document.getElementById("job-actions").replaceChildren();
}
