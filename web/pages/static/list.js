// Keeps the list of jobs up to date, filters it without loading the page, and loads older jobs on scrolling.

import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { announce, coalesced, debounced, merge, tick } from "./merge.js";
import { record } from "./router.js";
import { tellTimes } from "./times.js";

const TYPING = 250; // milliseconds after the last key
const SETTLE = 150;
const AHEAD = "600px";
const FINAL = new Set(["completed", "failed", "cancelled"]);
const REMEMBERED = 1000;

const list = () => document.getElementById("jobs");
const statuses = new Map(); // the last known status of each job

let results, search; // of the page that is shown
let reading = 0; // the number of the list that is loading; answers for earlier lists are dropped

/** Start to update the list, until the signal ends it. Returns the Follower, and what app.js may call. */
export function beginList({ signal }) {
  [results, search] = [document.getElementById("results"), document.getElementById("search")];
  const more = document.getElementById("more");
  const refresh = coalesced(refreshOnce);
  const follower = new Follower("/api/events", { changed: (event) => changed(event, refresh), refresh, signal });
  const go = (url, how) => narrow(url, how).catch((problem) => problem.offline && follower.lookNow());
  document.addEventListener("click", (event) => followTab(event, go), { signal });
  search.addEventListener("submit", (event) => (event.preventDefault(), go(addressOfForm(), "push")));
  search.addEventListener("input", debounced(() => signal.aborted || go(addressOfForm(), "replace"), TYPING));
  const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && readMore(), { rootMargin: AHEAD });
  observer.observe(more);
  more.addEventListener("click", (event) => {
    if (event.target.closest('[rel="next"]')) (event.preventDefault(), readMore());
  });
  signal.addEventListener("abort", () => {
    reading += 1;
    observer.disconnect();
  });
  follower.start();
  return { refresh, follower, point, show: (url) => go(url, null) };
}

/** Show a job that was just created. */
function point(jobId) {
  const row = document.getElementById(`job-${jobId}`);
  row?.classList.add("new");
  row?.scrollIntoView({ block: "nearest" });
}

async function refreshOnce() {
  const number = reading;
  const fresh = await readPage(location.href);
  if (number !== reading) return;
  const more = fresh.getElementById("more");
  const shownIds = new Set([...list().children].map((row) => row.id));
  const joins = [...fresh.querySelectorAll("#jobs > li")].some((row) => shownIds.has(row.id));
  merge(fresh);
  if (!joins && more) replaceMore(more);
  tellTimes(results);
}

function changed({ entity, entity_id: id, change, data }, refresh) {
  if (entity !== "job") return;
  const row = document.getElementById(`job-${id}`);
  const before = row?.dataset.status ?? statuses.get(id);
  remember(id, data.status);
  if (change === "updated" && before === data.status) {
    if (row) tick(row, data);
    return;
  }
  if (row && before !== data.status && FINAL.has(data.status)) announce(`${data.status}: ${row.querySelector(".row-title").textContent.slice(0, 80)}`);
  settled(refresh);
}

function remember(id, status) {
  statuses.delete(id);
  statuses.set(id, status);
  if (statuses.size > REMEMBERED) statuses.delete(statuses.keys().next().value);
}

const settled = debounced((refresh) => refresh().catch(() => {}), SETTLE);

function followTab(event, go) {
  const link = event.target.closest("#tabs a, #empty a:not([data-dialog]), #more a:not([rel])");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.href, "push");
}

/** The address of the list with the filters of the form, in the open tab. */
function addressOfForm() {
  const url = new URL(search.action);
  for (const [name, value] of new FormData(search)) if (value.trim()) url.searchParams.set(name, value.trim());
  const show = new URL(location.href).searchParams.get("show");
  if (show) url.searchParams.set("show", show);
  return url.href;
}

/** Replace this list with another one. */
async function narrow(url, how) {
  const number = ++reading;
  results.ariaBusy = "true";
  try {
    const fresh = await readPage(url);
    if (number !== reading) return;
    if (how) record(url, how);
    take(fresh);
  } finally {
    if (number === reading) results.ariaBusy = "false";
  }
}

function take(fresh) {
  list().replaceWith(fresh.getElementById("jobs"));
  replaceMore(fresh.getElementById("more"));
  merge(fresh);
  const { q, job_type: type } = search.elements;
  const fields = fresh.getElementById("search").elements;
  if (document.activeElement !== q) q.value = fields.q.value;
  type.value = fields.job_type.value;
  tellTimes(results);
  const count = list().children.length;
  announce(`${count}${document.querySelector('#more [rel="next"]') ? " or more" : ""} jobs`);
}

function replaceMore(more) {
  document.getElementById("more").replaceChildren(...more.children);
}

/** Append the next part of the list. The link shows that it is loading; after an error it can be used again. */
async function readMore() {
  const link = document.querySelector('#more [rel="next"]');
  if (!link || link.ariaBusy === "true") return;
  const number = reading;
  link.ariaBusy = "true";
  link.textContent = "Loading…";
  try {
    const fresh = await readPage(link.href);
    if (number !== reading) return;
    list().append(...[...fresh.getElementById("jobs").children].filter((row) => !document.getElementById(row.id)));
    const next = fresh.querySelector('#more [rel="next"]');
    if (next) link.replaceWith(next);
    else link.remove();
    tellTimes(results);
    reobserve();
  } catch {
    link.textContent = "Older jobs could not be read. Try again";
    link.ariaBusy = "false";
  }
}

/** Load more if the end of the list is still visible: an observer reports only changes. */
function reobserve() {
  const { top } = document.getElementById("more").getBoundingClientRect();
  if (top < innerHeight + parseInt(AHEAD, 10)) readMore();
}
