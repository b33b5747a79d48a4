// A list: up to date without a reload, narrowed as one types, and read on by scrolling. New rows wait behind a button while
// one points at the list, works in it or has scrolled: nothing moves under the pointer.

import { get, isPlain, isUnderPointer, listening } from "./elements.js";
import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { announce, coalesced, debounced, merge, tick } from "./merge.js";
import { Pages, partOf } from "./pages.js";
import { halt, record } from "./router.js";
import { beginSelection } from "./select.js";

const TYPING = 250; // milliseconds after the last key
const SETTLE = 150;
const AHEAD = 1_500; // pixels
const FINAL = new Set(["completed", "failed", "cancelled"]);
const REMEMBERED = 1000;

const statuses = new Map(); // the last status of each job in an event
const dirty = new Set(); // pages with rows that have changed

let name, pages, results, search, more, fresh; // of the page that is shown
let reading = 0; // the number of the list that is loading; answers for earlier lists are dropped

/** Start to update a list ("jobs" or "tracks"), until the signal ends it. Returns the Follower, and what app.js may call. */
export function beginList(which, { signal }) {
  name = which;
  [results, search, more, fresh] = ["results", "search", "more", "fresh"].map((id) => get(id));
  const list = get(name);
  const on = listening(signal);
  if (list.children.length === 1) list.firstElementChild.dataset.url ??= location.href;
  pages = new Pages(list, signal);
  dirty.clear();
  const refresh = coalesced(() => refreshOnce());
  const follower = new Follower("/api/events", { changed: (event) => changed(event, refresh), refresh, signal });
  const go = (url, how) => narrow(url, how).catch((problem) => problem.offline && follower.lookNow());
  on(document, "click", (event) => followTab(event, go));
  on(search, "submit", (event) => (event.preventDefault(), go(addressOfForm(), "push")));
  on(search, "input", debounced(() => signal.aborted || go(addressOfForm(), "replace"), TYPING));
  release(list, refresh, signal);
  const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && readMore(), { rootMargin: `${AHEAD}px` });
  observer.observe(more);
  on(more, "click", (event) => event.target.closest('[rel="next"]') && (event.preventDefault(), readMore()));
  signal.addEventListener("abort", () => {
    reading += 1;
    observer.disconnect();
  });
  follower.start();
  const refreshAll = () => refreshOnce({ isForced: true });
  beginSelection(refreshAll, { signal });
  return { refresh, follower, point, show: (url) => go(url, null), refreshAll };
}

/** Show a job that was just created. */
async function point(jobId) {
  if (!get(`job-${jobId}`)) await refreshOnce({ isForced: true }).catch(() => {});
  const row = get(`job-${jobId}`);
  row?.classList.add("new");
  row?.scrollIntoView({ block: "nearest" });
}

/** Read the first page, and those that have changed; without a stream of events, all that are in the document. */
async function refreshOnce({ isForced = false } = {}) {
  const number = reading;
  const due = new Set([pages.first, ...(dirty.size ? dirty : pages.loaded)].filter((page) => page.isConnected));
  dirty.clear();
  const read = await Promise.all([...due].map(async (page) => [page, partOf(await readPage(page.dataset.url))]));
  if (number !== reading) return;
  const parts = new Map(read.filter(([page]) => page.isConnected));
  merge(read[0][1].fresh);
  const isLast = pages.list.lastElementChild === pages.first;
  const hold = !isForced && isInUse();
  const waiting = pages.update(parts, { hold, wait: !isForced && (hold || scrollY > 0) });
  if (isLast && pages.first === pages.list.lastElementChild) showMore(read[0][1].fresh);
  showWaiting(waiting);
  await pages.fill();
}

/** True while the pointer or the focus is in the list, or on the button for its new rows. */
function isInUse() {
  return [pages.list, fresh].some((part) => isUnderPointer(part) || part.contains(document.activeElement));
}

/** Show the rows that wait when the list is no longer used, or when the button is pressed. */
function release(list, refresh, signal) {
  const on = listening(signal);
  const look = () => {
    if (isInUse()) return;
    const waits = !fresh.hidden && scrollY === 0;
    if (waits || list.querySelector(".gone")) refresh().catch(() => {});
  };
  for (const part of [list, fresh]) {
    on(part, "pointerleave", look);
    on(part, "focusout", () => setTimeout(look));
  }
  on(window, "scroll", debounced(() => signal.aborted || look(), SETTLE));
  on(window, "pointermove", ({ target }) => target === fresh || delete fresh.dataset.unarmed);
  on(fresh, "click", () => {
    scrollTo({ top: 0, behavior: "instant" });
    refreshOnce({ isForced: true }).then(() => list.querySelector(".row-title")?.focus(), () => {});
  });
}

/** The button "3 new". While the pointer is where it appears, a click goes to what was there before. */
function showWaiting(number) {
  if (fresh.hidden && number) {
    fresh.dataset.unarmed = "";
    announce(`${number} new`);
  }
  fresh.hidden = !number;
  fresh.textContent = `${number} new`;
}

function changed(event, refresh) {
  const { entity, job_id: id, change, data } = event;
  const row = get(`job-${id}`);
  const isOfJob = entity === "job";
  const before = row?.dataset.status ?? statuses.get(id);
  if (isOfJob) remember(id, data.status);
  if (entity === "loop" || (isOfJob && name === "tracks" && !row)) return;
  if (isOfJob && change === "updated" && before === data.status) {
    if (row) tick(row, data);
    return;
  }
  if (isOfJob && row && name === "jobs" && before !== data.status && FINAL.has(data.status)) announce(`${data.status}: ${row.querySelector(".row-title").textContent.slice(0, 80)}`);
  if (row && isInOrderOfTime()) dirty.add(row.parentElement);
  else for (const page of row ? pages.loaded : [pages.first]) dirty.add(page);
  settled(refresh);
}

/** In another order, a change may move a row to another page. */
function isInOrderOfTime() {
  return (new URL(location.href).searchParams.get("sort") ?? "created_at").includes("created_at");
}

function remember(id, status) {
  statuses.delete(id);
  statuses.set(id, status);
  if (statuses.size > REMEMBERED) statuses.delete(statuses.keys().next().value);
}

const settled = debounced((refresh) => refresh().catch(() => {}), SETTLE);

function followTab(event, go) {
  const link = event.target.closest("#tabs a, #chips a, #empty a:not([data-dialog]), #more a:not([rel])");
  if (!link || !isPlain(event)) return;
  event.preventDefault();
  go(link.href, "push");
}

/** The address of the list with the fields of the form, narrowed as now. */
function addressOfForm() {
  const url = new URL(location.href);
  url.searchParams.delete("cursor");
  for (const { name: key, type, value } of search.elements) {
    if (!key || type === "hidden") continue;
    if (value.trim()) url.searchParams.set(key, value.trim());
    else url.searchParams.delete(key);
  }
  return url.href;
}

/** Replace this list with another one. */
async function narrow(url, how) {
  if (how === "push") halt();
  const number = ++reading;
  results.ariaBusy = "true";
  try {
    const part = partOf(await readPage(url));
    if (number !== reading) return;
    if (how) record(url, how);
    take(part);
  } finally {
    if (number === reading) results.ariaBusy = "false";
  }
}

function take(part) {
  pages.start(part, location.href);
  showMore(part.fresh);
  showWaiting(0);
  merge(part.fresh);
  for (const field of part.fresh.querySelectorAll("#search [name]:not([type=hidden]), #selection [name=back]")) {
    const here = document.querySelector(`#${field.form.id} [name="${field.name}"]`);
    if (document.activeElement !== here) here.value = field.value;
  }
  announce(`${part.rows.length}${part.next ? " or more" : ""} ${name}`);
}

function showMore(part) {
  more.replaceChildren(...part.getElementById("more").children);
}

/** Append the next part of the list. */
async function readMore() {
  const link = more.querySelector('[rel="next"]');
  if (!link || link.ariaBusy === "true") return;
  const number = reading;
  link.ariaBusy = "true";
  link.textContent = "Loading…";
  try {
    const part = partOf(await readPage(link.href));
    if (number !== reading) return;
    const next = part.fresh.querySelector('#more [rel="next"]');
    pages.append(part, link.href);
    if (next) link.replaceWith(next);
    else link.remove();
    if (more.getBoundingClientRect().top < innerHeight + AHEAD) readMore(); // an observer reports only changes
  } catch {
    link.textContent = "The rows that follow could not be read. Try again";
    link.ariaBusy = "false";
  }
}
