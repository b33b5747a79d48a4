// Shows above the player that tracks were deleted, and lets one undo that for some seconds.

import { create, focusOn, get } from "./elements.js";
import { sendJson } from "./http.js";
import { notify } from "./merge.js";

const offers = new Map(); // discard id -> {toast, job, timer}
let place;

/** Offer to undo a discard, as REST returns it, for these seconds. The offer stays when another page is shown. */
export function offerUndo({ discard_id: id, job_id: job, tracks, created_at: from, expires_at: to }, seconds = (new Date(to) - new Date(from)) / 1000) {
  if (offers.has(id) || !(seconds > 0)) return;
  const left = create("span", { className: "toast-left", ariaHidden: "true" });
  const button = create("button", { type: "button", className: "button small", onclick: () => undo(id, tracks, button) }, "Undo ", left);
  const toast = create("div", { className: "toast" }, create("span", {}, countOf(tracks, "deleted.")), button);
  if (!place) document.body.append((place = create("div", { className: "toasts", role: "status" })));
  place.append(toast);
  const end = performance.now() + 1000 * seconds;
  const count = () => {
    const rest = Math.ceil((end - performance.now()) / 1000);
    if (rest <= 0) close(id);
    else left.textContent = `${rest} s`;
  };
  offers.set(id, { toast, job, timer: setInterval(count, 200) });
  count();
}

/** Offer what the page of a job lists in an element, and take back the other offers of this job. Returns the newest button. */
export function followOffers(element, job) {
  const forms = [...element.querySelectorAll("[data-discard]")];
  for (const { dataset } of forms) offerUndo({ discard_id: dataset.discard, job_id: job, tracks: Number(dataset.tracks) }, Number(dataset.seconds));
  const listed = new Set(forms.map((form) => form.dataset.discard));
  for (const [id, offer] of offers) if (offer.job === job && !listed.has(id)) close(id);
  return forms.length ? place?.querySelector(".toast:last-child > button") : null;
}

async function undo(id, tracks, button) {
  button.disabled = true;
  try {
    await sendJson(`/api/discards/${id}/undo`, { method: "POST" });
    close(id);
    notify(countOf(tracks, tracks > 1 ? "are back." : "is back."));
  } catch (problem) {
    if (problem.offline) button.disabled = false;
    else close(id);
    notify(problem.message);
  }
}

/** Remove an offer. If it has the focus, the title of the page gets it. */
function close(id) {
  const { toast, timer } = offers.get(id) ?? {};
  if (!toast) return;
  clearInterval(timer);
  offers.delete(id);
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  if (hadFocus) focusOn(document.querySelector("#main h1") ?? get("main"));
}

function countOf(tracks, words) {
  return `${tracks} track${tracks > 1 ? "s" : ""} ${words}`;
}
