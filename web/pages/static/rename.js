// Changes the title of a track in the place of its name: Enter saves, Esc cancels.

import { create, get, on, tell } from "./elements.js";
import { send, sendJson } from "./http.js";
import { announce } from "./merge.js";

/** Open a field in the place of the name that a link leads to. Calls closed() when it is closed. Throws Problem. */
export async function rename(link, closed) {
  const url = `/api/tracks/${link.dataset.rename}`;
  const place = get(link.dataset.place);
  const track = await read(url);
  const field = create("input", { value: track.title ?? place.textContent, maxLength: 200, ariaLabel: "Title" });
  const error = create("p", { className: "field-error", role: "alert", hidden: true });
  const form = create("form", { className: "lib-rename" }, field, error);
  form.dataset.editing = "";
  place.hidden = link.hidden = true;
  place.after(form);
  field.select();
  field.focus();
  const close = () => {
    form.remove();
    place.hidden = link.hidden = false;
    link.focus();
    closed();
  };
  on(form, "keydown", (event) => event.key === "Escape" && (event.preventDefault(), event.stopPropagation(), close()));
  on(form, "submit", async (event) => {
    event.preventDefault();
    try {
      const title = field.value.trim() || null;
      await save(url, title, track);
      if (title) place.textContent = title;
      close();
      announce("Renamed");
    } catch (problem) {
      tell(error, problem.errors?.[0]?.message ?? problem.message);
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
    const change = track.title === null ? "Somebody removed the title" : `It has been renamed to “${track.title}”`;
    throw new Error(`${change} meanwhile. Press Enter again to replace that.`);
  }
}
