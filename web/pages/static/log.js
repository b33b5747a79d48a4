// Keeps the log of a job up to date while the job runs, and searches it as one types.

import { get, isTyped, on, setParameter } from "./elements.js";
import { readPage } from "./http.js";
import { announce, debounced, isFinal } from "./merge.js";
import { record } from "./router.js";

const EVERY = 2_000; // milliseconds
const TYPING = 250;
const NEAR_END = 40; // pixels

/** Start to follow the log, until the signal ends it. */
export function beginLog({ signal }) {
  const form = get("log-search");
  if (!form || signal.aborted) return;
  const field = form.elements.log;
  const lines = get("log");
  let reading = 0; // the number of the last request; answers to earlier ones are dropped
  let ended = 0; // the number of the last request that has ended

  /** Show the lines with the words of the field. False if another request came after this one. */
  const read = async () => {
    const number = ++reading;
    const url = withWords(`${form.action.split("#")[0]}/log`, field);
    const fresh = await readPage(url, { signal }).finally(() => (ended = Math.max(ended, number)));
    if (number === reading) show(lines, fresh.getElementById("log"));
    return number === reading;
  };
  const search = async () => {
    if (!(await read())) return;
    lines.scrollTop = lines.scrollHeight;
    const count = lines.querySelectorAll("p:not(.log-gap)").length;
    announce(`${count} line${count === 1 ? "" : "s"} of the log`);
    record(withWords(location.href, field), "replace");
  };
  const now = () => signal.aborted || search().catch(() => {}); // the page shows that the service does not answer
  on(field, "input", debounced(now, TYPING), signal);
  on(form, "submit", (event) => (event.preventDefault(), now()), signal);
  const timer = setInterval(() => reading === ended && isRunning(lines) && read().catch(() => {}), EVERY);
  on(signal, "abort", () => clearInterval(timer));
  lines.scrollTop = lines.scrollHeight;
  if (isTyped(field)) now();
}

function withWords(address, { value }) {
  const url = new URL(address);
  setParameter(url, "log", value.trim());
  return url.href;
}

/** False when the log has its last lines, and when nobody sees it. */
function isRunning({ dataset }) {
  const { status } = get("job-state")?.dataset ?? {};
  return !document.hidden && !(dataset.final === "true" && (!status || isFinal(status)));
}

/** Show other lines, but leave text that the reader selects. The end stays in view if it is. */
function show(lines, fresh) {
  const selection = getSelection();
  const isSelecting = !selection.isCollapsed && lines.contains(selection.anchorNode);
  if (isSelecting || lines.isEqualNode(fresh)) return;
  const isAtEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR_END;
  lines.replaceChildren(...fresh.childNodes);
  lines.dataset.final = fresh.dataset.final;
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}
