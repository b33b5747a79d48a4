// Changes the title of a track in the place of its name: Enter saves, Esc cancels.

import { send, sendJson } from "./http.js";
import { announce, notify } from "./merge.js";

/** Open a field in the place of a name when its pencil is pressed. */
export function beginRenaming() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-rename]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link).catch((problem) => notify(problem.message));
  });
}

async function open(link) {
  const url = `/api/tracks/${link.dataset.rename}`;
  const place = document.getElementById(link.dataset.place);
  const track = await read(url);
  const form = document.createElement("form");
  const field = Object.assign(document.createElement("input"), { value: track.title ?? place.textContent, maxLength: 200, ariaLabel: "Title" });
  const error = Object.assign(document.createElement("p"), { className: "field-error", role: "alert", hidden: true });
  form.className = "lib-rename";
  form.dataset.editing = "";
  form.append(field, error);
  place.hidden = link.hidden = true;
  place.after(form);
  field.select();
  field.focus();
  const close = () => {
    form.remove();
    place.hidden = link.hidden = false;
    link.focus();
  };
  form.addEventListener("keydown", (event) => event.key === "Escape" && (event.preventDefault(), event.stopPropagation(), close()));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const title = field.value.trim() || null;
      await save(url, title, track);
      if (title) place.textContent = title;
      close();
      announce("Renamed");
      document.dispatchEvent(new Event("renamed"));
    } catch (problem) {
      error.textContent = problem.errors?.[0]?.message ?? problem.message;
      error.hidden = false;
      field.ariaInvalid = "true";
    }
  });
}

async function read(url) {
  const answer = await send(url);
  return { ...(await answer.json()), etag: answer.headers.get("ETag") };
}

/** Save a title. Throws a Problem if another one has changed it meanwhile; saved once more, it is replaced. */
async function save(url, title, track) {
  try {
    await sendJson(url, { method: "PATCH", body: { title }, headers: { "If-Match": track.etag } });
  } catch (problem) {
    if (problem.status !== 412) throw problem;
    const before = track.title;
    Object.assign(track, await read(url));
    if (track.title === before) return save(url, title, track); // something else has changed
    throw new Error(`It has been renamed to “${track.title ?? "no title"}” meanwhile. Press Enter again to replace that.`);
  }
}
