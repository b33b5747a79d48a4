// Stars: sends them by REST, and shows the same star everywhere on the page.

import { on } from "./elements.js";
import { sendJson } from "./http.js";
import { announce, notify } from "./merge.js";
import { player } from "./player.js";

const sending = new Map(); // track id -> its last request; requests for one track are sent one after another

/** Send the stars of the whole document by REST. */
export function sendStars() {
  on(document, "submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-star-form]")) return;
    event.preventDefault();
    change(form.getAttribute("action").split("/")[2], form.elements.starred.value === "true");
  });
}

/** Show the star of a track wherever it is on the page. */
export function showStar(id, starred) {
  const name = CSS.escape(id);
  for (const form of document.querySelectorAll(`form[data-star-form][action="/tracks/${name}/star"]`)) setStar(form, id, starred);
  for (const { dataset } of document.querySelectorAll(`[data-sound="track:${name}"]`)) dataset.star = starred;
  for (const sound of [player.current, ...player.queue.sounds]) if (sound?.key === `track:${id}`) sound.starred = starred;
}

/** Make a form the star of a track. Its name stays if there is no title. */
export function setStar(form, id, starred, title) {
  form.setAttribute("action", `/tracks/${id}/star`);
  form.elements.starred.value = !starred;
  const button = form.querySelector(".star");
  button.ariaPressed = starred;
  if (title) button.ariaLabel = `Star ${title}`;
}

/** The star changes at once, and changes back if the service refuses. */
async function change(id, starred) {
  showStar(id, starred);
  const before = sending.get(id) ?? Promise.resolve();
  const sent = before.catch(() => {}).then(() => sendJson(`/api/tracks/${id}`, { method: "PATCH", body: { starred } }));
  sending.set(id, sent);
  try {
    await sent;
    announce(starred ? "Starred" : "Star removed");
  } catch (problem) {
    if (sending.get(id) === sent) showStar(id, !starred);
    notify(problem.status === 404 ? "This track has been deleted." : problem.message);
  } finally {
    if (sending.get(id) === sent) sending.delete(id);
  }
}
