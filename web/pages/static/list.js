// A list: up to date without a reload, narrowed as one types, and read on by scrolling. New rows wait behind a button while
// one points at the list, works in it or has scrolled.

import { get, isTyped, isUnderPointer, on, setParameter } from "./elements.js";
import { load, readPage } from "./http.js";
import { Follower } from "./live.js";
import { announce, coalesced, debounced, isFinal, merge, tick } from "./merge.js";
import { Pages, partOf } from "./pages.js";
import { halt, record } from "./router.js";
import { beginSelection } from "./select.js";

const TYPING = 250; // milliseconds after the last key
const SETTLE = 150;
const REMEMBERED = 1000;

const statuses = new Map(); // the last status of each job in an event
const dirty = new Set(); // pages with rows that have changed

let name, pages, results, search, more, fresh; // of the page that is shown
let reading = 0; // the number of the list that is loading; answers for earlier lists are dropped

/** Start to update the list of the page, until the signal ends it. Returns what app.js may call. */
export function begin({ signal }) {
  name = get("main").dataset.page;
  [results, search, more, fresh] = ["results", "search", "more", "fresh"].map((id) => get(id));
  const list = get(name);
  if (list.children.length === 1) list.firstElementChild.dataset.url ??= location.href;
  const next = more.querySelector('[rel="next"]');
  pages = new Pages(list, next?.href, signal);
  next?.remove(); // it is for browsers without JavaScript
  dirty.clear();
  const refresh = coalesced(() => refreshOnce());
  const refreshAll = () => refreshOnce({ isForced: true });
  const settled = debounced(() => refresh().catch(() => {}), SETTLE);
  const follower = new Follower("/api/events", { changed: (event) => changed(event) && settled(), refresh, signal });
  const go = (url, how) => narrow(url, how).catch((problem) => problem.offline && follower.lookNow());
  on(search, "submit", (event) => (event.preventDefault(), go(addressOfForm(), "push")), signal);
  on(search, "input", debounced(() => signal.aborted || go(addressOfForm(), "replace"), TYPING), signal);
  release(list, { refresh, refreshAll, signal });
  on(signal, "abort", () => (reading += 1));
  const order = () => list.querySelector("[data-move]") && load("order").then(({ beginOrder }) => beginOrder(list, refreshAll, signal), () => {});
  on(list, "pointerover focusin", order, signal);
  follower.start();
  if (isTyped(search.elements.q)) go(addressOfForm(), "replace");
  beginSelection(refreshAll, { signal });
  return { refresh, follower, point, show: go };
}

async function point(jobId) {
  const row = () => get(`job-${jobId}`);
  if (!row()) await refreshOnce({ isForced: true }).catch(() => {});
  row()?.classList.add("new");
  row()?.scrollIntoView({ block: "nearest" });
}

/** Read the first page and those that have changed, or else all that are in the document. */
async function refreshOnce({ isForced = false } = {}) {
  const number = reading;
  const due = new Set([pages.first, ...(dirty.size ? dirty : pages.loaded)].filter((page) => page.isConnected));
  dirty.clear();
  const read = await Promise.all([...due].map(async (page) => [page, partOf(await readPage(page.dataset.url))]));
  if (number !== reading) return;
  if (!read[0][0].isConnected) return refreshOnce({ isForced }); // another list came meanwhile
  const parts = new Map(read.filter(([page]) => page.isConnected));
  merge(read[0][1].fresh);
  const hold = !isForced && isInUse();
  showWaiting(pages.update(parts, { hold, wait: !isForced && (hold || scrollY > 0) }));
  await pages.fill();
}

/** True while the pointer or the focus is in the list, or on the button for its new rows. */
function isInUse() {
  return [pages.list, fresh].some((part) => isUnderPointer(part) || part.contains(document.activeElement));
}

/** Show the rows that wait when the list is no longer used, or when the button is pressed. */
function release(list, { refresh, refreshAll, signal }) {
  const look = () => {
    const waits = !fresh.hidden && scrollY === 0;
    if (!isInUse() && (waits || list.querySelector(".gone"))) refresh().catch(() => {});
  };
  for (const part of [list, fresh]) {
    on(part, "pointerleave", look, signal);
    on(part, "focusout", () => setTimeout(look), signal);
  }
  on(window, "scroll", debounced(() => signal.aborted || look(), SETTLE), signal);
  on(window, "pointermove", ({ target }) => target === fresh || delete fresh.dataset.unarmed, signal);
  on(fresh, "click", () => {
    scrollTo({ top: 0, behavior: "instant" });
    refreshAll().then(() => list.querySelector(".row-title")?.focus(), () => {});
  }, signal);
}

/** The button "3 new". While the pointer is where it appears, a click goes to what was there before. */
function showWaiting(number) {
  const words = `${number} new`;
  if (fresh.hidden && number) {
    fresh.dataset.unarmed = "";
    announce(words);
  }
  fresh.hidden = !number;
  fresh.textContent = words;
}

/** Show the progress in an event. For another change, note the pages that it may change, and return true. */
function changed({ entity, job_id: id, change, data }) {
  const row = get(`job-${id}`);
  const isOfJob = entity === "job";
  const before = row?.dataset.status ?? statuses.get(id);
  if (isOfJob) remember(id, data.status);
  if (entity === "loop" || (isOfJob && name === "tracks" && !row)) return false;
  if (isOfJob && change === "updated" && before === data.status && before !== "pending") {
    if (row) tick(row, data);
    return false;
  }
  if (isOfJob && row && name === "jobs" && before !== data.status && isFinal(data.status)) announce(`${data.status}: ${row.querySelector(".row-title").textContent.slice(0, 80)}`);
  if (row && isInOrderOfTime()) dirty.add(row.parentElement);
  else for (const page of row ? pages.loaded : [pages.first]) dirty.add(page);
  return true;
}

/** In another order, a change may move a row to another page. Jobs that wait are in the order of the queue. */
function isInOrderOfTime() {
  const parameters = new URLSearchParams(location.search);
  return parameters.get("show") !== "waiting" && (parameters.get("sort") ?? "created_at").includes("created_at");
}

function remember(id, status) {
  statuses.delete(id);
  statuses.set(id, status);
  if (statuses.size > REMEMBERED) statuses.delete(statuses.keys().next().value);
}

/** The address of the list with the fields of the form, narrowed as now. */
function addressOfForm() {
  const url = new URL(location.href);
  url.searchParams.delete("cursor");
  for (const { name: key, type, value } of search.elements) {
    if (key && type !== "hidden") setParameter(url, key, value.trim());
  }
  return url.href;
}

async function narrow(url, how) {
  if (how === "push") halt();
  const number = ++reading;
  results.ariaBusy = "true";
  try {
    const part = partOf(await readPage(url));
    if (number !== reading) return;
    if (how) {
      record(url, how);
      scrollTo(0, 0);
    }
    take(part);
  } finally {
    if (number === reading) results.ariaBusy = "false";
  }
}

function take(part) {
  pages.start(part, location.href);
  more.replaceChildren(...part.fresh.querySelectorAll("#more > :not([rel])"));
  showWaiting(0);
  merge(part.fresh);
  for (const field of part.fresh.querySelectorAll("#search [name]:not([type=hidden]), #selection [name=back]")) {
    const here = document.querySelector(`#${field.form.id} [name="${field.name}"]`);
    if (document.activeElement !== here) here.value = field.value;
  }
  announce(`${part.rows.length}${part.next ? " or more" : ""} ${name}`);
}
