// The page with the list of tracks. A row stands for the take that plays: its button, its waveform, its length, its star.

import { get, on } from "./elements.js";
import { begin as beginList } from "./list.js";
import { setStar } from "./stars.js";
import { clock } from "./times.js";
import { draw } from "./waves.js";

const PARTS = ["src", "title", "sub", "seconds", "home", "wave", "star", "sound"];

/** Start the page. Returns what app.js may call. */
export function begin({ signal }) {
  const observer = new MutationObserver((changes) => changes.forEach(({ target }) => target.matches(".take[data-state]") && stand(target)));
  observer.observe(get("tracks"), { subtree: true, attributeFilter: ["data-state"] });
  on(signal, "abort", () => observer.disconnect());
  return beginList({ signal });
}

function stand(take) {
  const row = take.closest(".row");
  const { wave, seconds, star, sound } = take.dataset;
  if (row.dataset.sound === sound) return;
  for (const part of PARTS) row.dataset[part] = take.dataset[part];
  const id = sound.slice("track:".length);
  const [picture, pencil] = [row.querySelector(".wave"), row.querySelector("[data-rename]")];
  draw(picture, picture.querySelector("img").src = `${wave}?points=120`);
  row.querySelector(".lib-length").textContent = clock(Number(seconds));
  pencil.dataset.rename = id;
  pencil.href = `/tracks/${id}#rename`;
  setStar(row.querySelector("form[data-star-form]"), id, star === "true");
}
