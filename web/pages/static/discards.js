// Shows above the player that tracks were deleted, with a button that brings them back while that is possible.

import { sendJson } from "./http.js";
import { notify } from "./merge.js";

const offers = new Map(); // discard id -> {toast, job, timer}
let place;

/** Offer to undo a discard, as REST returns it, for these seconds. The offer stays when another page is shown. */
export function offerUndo({ discard_id: id, job_id: job, tracks, created_at: from, expires_at: to }, seconds = (new Date(to) - new Date(from)) / 1000) {
  if (offers.has(id) || !(seconds > 0)) return;
  const [toast, words, button, left] = ["div", "span", "button", "span"].map((name) => document.createElement(name));
  toast.className = "toast";
  words.textContent = countOf(tracks, "deleted.");
  button.type = "button";
  button.className = "button small";
  left.className = "toast-left";
  left.ariaHidden = "true";
  button.append("Undo ", left);
  button.addEventListener("click", () => undo(id, tracks, button));
  toast.append(words, button);
  if (!place) document.body.append((place = Object.assign(document.createElement("div"), { className: "toasts", role: "status" })));
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
  if (!hadFocus) return;
  const title = document.querySelector("#main h1") ?? document.getElementById("main");
  title.tabIndex = -1;
  title.focus({ preventScroll: true });
}

function countOf(tracks, words) {
  return `${tracks} track${tracks > 1 ? "s" : ""} ${words}`;
}
