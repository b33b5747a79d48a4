// Starts the scripts of a page. Without them, every page can still be read and every form sent.

import { closeDialog, openDialogs } from "./dialogs.js";
import { sendForms } from "./forms.js";
import { announce, begin } from "./merge.js";
import { followType } from "./new.js";
import { definePlayers } from "./player.js";
import { keepTimes } from "./times.js";

document.documentElement.classList.add("js");
begin();
keepTimes();
definePlayers();
openDialogs((problem) => {
  announce(problem.message);
  page?.follower.lookNow();
});
followType();
sendForms(done);

let page = null;
let point = () => {};
if (document.getElementById("jobs")) {
  const list = await import("./list.js");
  [page, point] = [list.beginList(), list.point];
} else if (document.getElementById("job")) {
  page = (await import("./job.js")).beginJob();
}

/** After a form was accepted: show the result on this page, or open the page of the record. */
async function done(form, record) {
  const { api, method, body } = form.dataset;
  const isNewJob = body === "job";
  closeDialog(form);
  closeLoopForm(form.closest("details.make-loop"));
  if (method === "DELETE") announce("Deleted");
  if (isNewJob && !document.getElementById("jobs")) location.assign(`/jobs/${record.job_id}`);
  else if (method === "DELETE" && (!page || location.pathname === api.replace("/api", ""))) location.assign("/");
  else if (page) await page.refresh().catch(() => page.follower.lookNow());
  else location.reload();
  if (isNewJob) {
    announce("The job is in the queue");
    point(record.job_id);
  }
  if (body === "loop") announce("The loop is in the queue");
}

/** Close the form for a loop. Its button had the focus and is hidden now, so the summary gets the focus. */
function closeLoopForm(details) {
  if (!details) return;
  details.removeAttribute("open");
  details.querySelector("summary").focus();
}
