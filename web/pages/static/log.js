// Keeps the log of a job up to date while the job runs, and searches it as one types.

import { readPage } from "./http.js";
import { announce, debounced } from "./merge.js";
import { record } from "./router.js";

const EVERY = 2_000; // milliseconds
const TYPING = 250;
const NEAR_END = 40; // pixels
const FINAL = /^(completed|failed|cancelled)$/i;

/** Start to follow the log, until the signal ends it. */
export function beginLog({ signal }) {
  const form = document.getElementById("log-search");
  if (!form) return;
  const field = form.elements.log;
  const lines = document.getElementById("log");
  let reading = 0; // the number of the last request; answers to earlier ones are dropped

  const read = async () => {
    const number = ++reading;
    const url = new URL(`${form.action.split("#")[0]}/log`);
    if (field.value.trim()) url.searchParams.set("log", field.value.trim());
    const fresh = (await readPage(url.href)).getElementById("log");
    if (number === reading && !signal.aborted && fresh) show(lines, fresh);
  };
  const search = async () => {
    await read();
    lines.scrollTop = lines.scrollHeight;
    const count = lines.querySelectorAll("p:not(.log-gap)").length;
    announce(`${count} line${count === 1 ? "" : "s"} of the log`);
    const url = new URL(location.href);
    if (field.value.trim()) url.searchParams.set("log", field.value.trim());
    else url.searchParams.delete("log");
    if (!signal.aborted) record(url.href, "replace");
  };
  const now = () => search().catch(() => {}); // the page shows that the service does not answer
  field.addEventListener("input", debounced(now, TYPING));
  form.addEventListener("submit", (event) => (event.preventDefault(), now()));
  const timer = setInterval(() => isRunning(lines) && read().catch(() => {}), EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
  lines.scrollTop = lines.scrollHeight;
}

/** False when the log has its last lines, and when nobody sees it. */
function isRunning(lines) {
  const isFinal = FINAL.test(document.getElementById("job-state")?.dataset.status ?? "cancelled");
  return !document.hidden && !(isFinal && lines.dataset.final === "true");
}

/** Show other lines. The end stays in view if it is; text that the reader selects stays as it is. */
function show(lines, fresh) {
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && lines.contains(selection.anchorNode);
  if (isSelecting || lines.isEqualNode(fresh)) return;
  const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR_END;
  lines.replaceChildren(...fresh.childNodes);
  lines.dataset.final = fresh.dataset.final;
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}
