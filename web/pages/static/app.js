// Starts the scripts of the page that is shown.

import { get, isPlain, on } from "./elements.js";
import { load } from "./http.js";
import { startKeys } from "./keys.js";
import { showNothing } from "./live.js";
import { announce, begin, notify } from "./merge.js";
import { player } from "./player.js";
import { resume } from "./resume.js";
import { startRouter, visit } from "./router.js";
import { sendStars } from "./stars.js";
import { recall } from "./storage.js";
import { keepTimes, tellTimes } from "./times.js";
import { connectSounds } from "./waves.js";

const SCRIPTS = { job: "job", jobs: "list", track: "track", tracks: "tracks" }; // of the pages
const PLAYER = ["bar", "gone", "media"]; // loaded with the first sound
const main = get("main");

let page = {}; // what begin() of the page returned
let path; // of the page that is shown
let end = new AbortController();

/** Start the page that is in the document. Its script gets a signal that ends with the page. */
async function arrive() {
  leave(); // two pages may arrive one after another
  const { signal } = (end = new AbortController());
  const { page: name } = main.dataset;
  path = location.pathname;
  for (const link of document.querySelectorAll(".places a")) {
    const { place } = link.dataset;
    link.ariaCurrent = name === `${place}s` ? "page" : name === place ? "true" : null;
  }
  begin();
  tellTimes();
  if (player.current) load("gone").then(({ askForSounds }) => askForSounds(), () => {});
  if (main.querySelector("form[data-api]:not(.inline)")) load("forms").catch(() => {});
  if (name === "jobs" || recall("localStorage", "bell")) load("bell").then(({ startBell }) => startBell(), () => {});
  const script = SCRIPTS[name];
  const module = script && (await import(`./${script}.js`));
  if (signal.aborted) return;
  page = module?.begin({ signal }) ?? {};
  if (!page.follower) showNothing();
}

function leave() {
  end.abort();
  page = {};
}

function show(url, how) {
  return new URL(url).pathname === path && page.show ? page.show(url, how) : null;
}

/** Links that open a dialog, close it, fill in its form, or let one change a name. Without JavaScript, they open a page. */
function follow(event) {
  const link = event.target.closest("a[data-dialog], dialog a[data-close], a[data-rename], a[data-like]");
  if (!link || !isPlain(event) || (link.matches("[data-dialog]") && link.pathname === location.pathname)) return;
  event.preventDefault();
  if (link.matches("[data-close]")) link.closest("dialog").close();
  else if (link.matches("[data-like]")) load("new").then(({ fillIn }) => fillIn(link)).catch(failed);
  else if (link.matches("[data-rename]")) load("rename").then(({ rename }) => rename(link, () => page.refresh?.().catch(() => {}))).catch(failed);
  else load("dialogs").then(({ openDialog }) => openDialog(link.pathname)).catch(failed);
}

function send(event) {
  const { target: form, submitter } = event;
  if (!form.dataset.api) return;
  event.preventDefault();
  const isByKeyboard = submitter?.matches(":focus-visible");
  load("forms").then(({ sendForm }) => sendForm(form, (record) => done(form, record, isByKeyboard))).catch(failed);
}

function showFields({ target }) {
  if (target.matches('[data-body="job"] [name="job_type"]')) load("new").then((form) => form.showFields(target.form), failed);
}

function drag({ dataTransfer }) {
  if (dataTransfer.types.includes("Files")) load("drop").catch(() => {});
}

function failed(problem) {
  notify(problem.message);
  page.follower?.lookNow();
}

/** After a form was accepted: show the result on this page, or open the page of the record. */
async function done(form, record, isByKeyboard) {
  const { api, method, body, discarding } = form.dataset;
  const isNewJob = body === "job";
  const isDeletion = method === "DELETE";
  form.closest("dialog")?.close("sent");
  closeLoopForm(form.closest("details.make-loop"));
  if (isDeletion) announce("Deleted");
  if (isNewJob && main.dataset.page !== "jobs") await visit(`/jobs/${record.job_id}`);
  else if (isDeletion && (!page.refresh || location.pathname === api.replace("/api", ""))) await visit("/");
  else if (page.refresh) await page.refresh().catch(() => page.follower.lookNow());
  else await visit(location.href, { replace: true });
  if (isNewJob) page.point?.(record.job_id);
  if (isByKeyboard && discarding !== undefined) document.querySelector(".toast:last-child > button")?.focus();
  if (body) announce(`The ${body} is in the queue`);
}

/** Close the form for a loop. The focus was in it, and moves to the summary. */
function closeLoopForm(details) {
  details?.removeAttribute("open");
  details?.querySelector("summary").focus();
}

function showPlayer() {
  document.documentElement.classList.toggle("has-player", player.current !== null);
  for (const name of PLAYER) load(name).catch(() => {});
}

on(player, "change", showPlayer);
for (const start of [keepTimes, connectSounds, startKeys, sendStars, resume]) start();
on(document, "click", follow);
on(document, "submit", send);
on(document, "change", showFields);
on(document, "dragenter", drag);
startRouter({ leave, arrive, show, failed, canReturn: () => Boolean(page.refresh) });
document.documentElement.classList.add("js"); // only now: without a script that works, the page is as without JavaScript
await arrive();
