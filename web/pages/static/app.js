// Starts the scripts of the page that is shown.

import { startBar } from "./bar.js";
import { get, isPlain } from "./elements.js";
import { startKeys } from "./keys.js";
import { askForSounds, watchSounds } from "./gone.js";
import { load } from "./http.js";
import { showNothing } from "./live.js";
import { announce, begin, notify } from "./merge.js";
import { player } from "./player.js";
import { resume } from "./resume.js";
import { startRouter, visit } from "./router.js";
import { sendStars } from "./stars.js";
import { keepTimes, tellTimes } from "./times.js";
import { connectSounds } from "./waves.js";

const SCRIPTS = new Set(["job", "jobs", "track", "tracks"]); // the pages with a script of their own: {page}.js
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
  askForSounds();
  if (main.querySelector("form[data-api]")) load("forms").catch(() => {}); // it is loaded again when it is used
  const script = SCRIPTS.has(name) ? await import(`./${name}.js`) : null;
  if (signal.aborted) return;
  page = script?.begin({ signal }) ?? {};
  if (!page.follower) showNothing();
}

function leave() {
  end.abort();
  page = {};
}

/** Show the page at another address of itself. Returns a promise, or null if the page cannot do this. */
function show(url) {
  return new URL(url).pathname === path && page.show ? page.show(url) : null;
}

/** Links that open a dialog, close it, or let one change a name. Without JavaScript, they open a page. */
function follow(event) {
  const link = event.target.closest("a[data-dialog], a[data-close], a[data-rename]");
  if (!link || !isPlain(event)) return;
  const dialog = link.closest("dialog");
  if (link.matches("[data-close]") ? !dialog : link.matches("[data-dialog]") && link.pathname === location.pathname) return;
  event.preventDefault();
  if (link.matches("[data-close]")) return dialog.close();
  const opened = link.matches("[data-dialog]")
    ? load("dialogs").then(({ openDialog }) => openDialog(link.pathname))
    : load("rename").then(({ rename }) => rename(link));
  opened.catch(failed);
}

/** Send a form that has a REST address. The router sends the others. */
async function send(event) {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  try {
    const { sendForm } = await import("./forms.js");
    await sendForm(form, done);
  } catch (problem) {
    failed(problem);
  }
}

function showFields({ target }) {
  if (target.matches('[data-body="job"] [name="job_type"]')) load("new").then((form) => form.showFields(target.form), failed);
}

function failed(problem) {
  notify(problem.message);
  page.follower?.lookNow();
}

/** After a form was accepted: show the result on this page, or open the page of the record. */
async function done(form, record) {
  const { api, method, body } = form.dataset;
  const isNewJob = body === "job";
  if (form.closest("dialog")) (await load("dialogs")).closeDialog(form);
  closeLoopForm(form.closest("details.make-loop"));
  if (method === "DELETE") announce("Deleted");
  if (isNewJob && main.dataset.page !== "jobs") await visit(`/jobs/${record.job_id}`);
  else if (method === "DELETE" && (!page.refresh || location.pathname === api.replace("/api", ""))) await visit("/");
  else if (page.refresh) await page.refresh().catch(() => page.follower.lookNow());
  else await visit(location.href, { replace: true });
  if (isNewJob) {
    announce("The job is in the queue");
    page.point?.(record.job_id);
  }
  if (body === "loop") announce("The loop is in the queue");
}

/** Close the form for a loop. The focus was in it, and moves to the summary. */
function closeLoopForm(details) {
  if (!details) return;
  details.removeAttribute("open");
  details.querySelector("summary").focus();
}

keepTimes();
player.addEventListener("change", () => load("media").catch(() => {}), { once: true });
for (const start of [connectSounds, startBar, startKeys, sendStars, watchSounds, resume]) start();
for (const [name, act] of Object.entries({ click: follow, submit: send, change: showFields })) document.addEventListener(name, act);
startRouter({ leave, arrive, show, failed, canReturn: () => Boolean(page.refresh) });
document.documentElement.classList.add("js"); // only now: without a script that works, the page is as without JavaScript
await arrive();
