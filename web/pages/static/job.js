// Keeps the page of a job up to date: its progress, its log, its takes and their loops.

import { followOffers } from "./discards.js";
import { get, on } from "./elements.js";
import { announce, isFinal, tick } from "./merge.js";
import { followRecord } from "./record.js";
import { chooseTakes, markTakes } from "./takes.js";

const STEP = /(\d+) ?\/ ?(\d+)(?: \[|\s*$)|\bstep (\d+) of (\d+)\b/i; // as in web/pages/takes.py

const AGAIN = 10_000; // milliseconds: the place of a job in the queue changes without an event of the job

const state = () => get("job-state");

/** Start to update the page, until the signal ends it. Returns what app.js may call. */
export function begin({ signal }) {
  const { job } = get("job").dataset;
  const page = followRecord("job", { job, signal, changed, refreshed: () => (markTakes(), followOffers(get("undo"), job)) });
  if (get("log-search")) import("./log.js").then(({ beginLog }) => beginLog({ signal }));
  chooseTakes(signal);
  const timer = setInterval(() => document.hidden || isFinal(state().dataset.status) || page.settled(), AGAIN);
  on(signal, "abort", () => clearInterval(timer));
  followOffers(get("undo"), job);
  return page;
}

function changed({ entity, entity_id: id, change, data }, page) {
  if (entity === "job" && change === "deleted") return page.gone();
  const element = entity === "job" ? state() : get(`${entity}-${id}`);
  const before = element?.dataset.status;
  if (entity !== "track" && change === "updated" && before === data.status && before !== "pending") {
    tick(element, data);
    if (entity === "job") tickTakes(data);
  } else {
    if (before && before !== data.status && isFinal(data.status)) announce(`${entity} ${data.status.toLowerCase()}`);
    page.settled();
  }
}

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
