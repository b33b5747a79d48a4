// Starts the scripts of the page that is shown. Without them, every page can still be read and every form sent.

import { startBar } from "./bar.js";
import { closeDialog, openDialogs } from "./dialogs.js";
import { sendForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { showNothing } from "./live.js";
import { startMediaSession } from "./media.js";
import { announce, begin, notify } from "./merge.js";
import { followType } from "./new.js";
import { beginRenaming } from "./rename.js";
import { resume } from "./resume.js";
import { startRouter, visit } from "./router.js";
import { sendStars } from "./stars.js";
import { keepTimes, tellTimes } from "./times.js";
import { connectSounds } from "./waves.js";

const SCRIPTS = new Set(["job", "jobs", "track", "tracks"]); // the pages with a script of their own: {page}.js
const main = document.getElementById("main");

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

function failed(problem) {
  notify(problem.message);
  page.follower?.lookNow();
}

/** After a form was accepted: show the result on this page, or open the page of the record. */
async function done(form, record) {
  const { api, method, body } = form.dataset;
  const isNewJob = body === "job";
  closeDialog(form);
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

/** Close the form for a loop. Its button had the focus and is hidden now, so the summary gets the focus. */
function closeLoopForm(details) {
  if (!details) return;
  details.removeAttribute("open");
  details.querySelector("summary").focus();
}

document.documentElement.classList.add("js");
keepTimes();
for (const start of [connectSounds, startBar, startKeys, startMediaSession, resume]) start();
openDialogs(failed);
followType();
sendForms(done);
sendStars();
beginRenaming();
startRouter({ leave, arrive, show, failed, canReturn: () => Boolean(page.refresh) });
await arrive();
