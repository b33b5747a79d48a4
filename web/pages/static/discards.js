// Shows above the player that tracks were deleted, and lets one undo that for some seconds.

import { create, focusTitle, get } from "./elements.js";
import { sendJson } from "./http.js";
import { notify } from "./merge.js";

const offers = new Map(); // discard id -> {toast, job, timer, next}
const place = get("toasts"); // it is there before the first toast, so that screen readers read that one, too

/**
 * Offer to undo a discard, as REST returns it, also when another page is shown. next() returns the element that gets the focus
 * after the button. Returns the button; null if the discard can no longer be undone.
 */
export function offerUndo({ discard_id: id, job_id: job, tracks, created_at: from, expires_at: to, seconds = (new Date(to) - new Date(from)) / 1000 }, next) {
  if (offers.has(id) || !(seconds > 0)) return null;
  const left = create("span", { className: "toast-left", ariaHidden: "true" });
  const button = create("button", { type: "button", className: "button small", onclick: () => undo(id, tracks, button) }, "Undo ", left);
  const toast = create("div", { className: "toast" }, create("span", {}, countOf(tracks, "deleted.")), button);
  place.append(toast);
  const end = performance.now() + 1000 * seconds;
  const count = () => {
    const rest = Math.ceil((end - performance.now()) / 1000);
    if (rest <= 0) close(id);
    else left.textContent = `${rest} s`;
  };
  offers.set(id, { toast, job, timer: setInterval(count, 200), next });
  count();
  return button;
}

/** Offer what the page of a job lists in an element, and take back the other offers of this job. */
export function followOffers(element, job) {
  const listed = [...element.querySelectorAll("[data-discard]")].map(({ dataset }) => dataset);
  for (const { discard, tracks, seconds } of listed) offerUndo({ discard_id: discard, job_id: job, tracks: Number(tracks), seconds: Number(seconds) });
  for (const [id, offer] of offers) if (offer.job === job && !listed.some(({ discard }) => discard === id)) close(id);
}

async function undo(id, tracks, button) {
  button.disabled = true;
  try {
    await sendJson(`/api/discards/${id}/undo`, { method: "POST" });
    close(id);
    notify(countOf(tracks, tracks > 1 ? "are back." : "is back."));
  } catch (problem) {
    button.disabled = false;
    if (problem.status === 404 || problem.status === 409) close(id);
    notify(problem.message);
  }
}

/** Remove an offer. If it has the focus, the element that comes next gets it, or else the title of the page. */
function close(id) {
  const { toast, timer, next } = offers.get(id) ?? {};
  if (!toast) return;
  clearInterval(timer);
  offers.delete(id);
  const hadFocus = toast.contains(document.activeElement);
  toast.remove();
  if (!hadFocus) return;
  const following = next?.();
  if (following) following.focus();
  else focusTitle();
}

function countOf(tracks, words) {
  return `${tracks} track${tracks > 1 ? "s" : ""} ${words}`;
}
