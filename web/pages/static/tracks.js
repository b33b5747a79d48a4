// The page with the list of tracks. A row stands for the take that plays: its button, its waveform, its star.

import { beginList } from "./list.js";
import { beginSelection } from "./select.js";
import { setStar } from "./stars.js";

const PARTS = ["src", "title", "sub", "seconds", "home", "wave", "star", "sound"];

/** Start the page. Returns what app.js may call. */
export function begin({ signal }) {
  const page = beginList("tracks", { signal });
  beginSelection(page, { signal });
  const observer = new MutationObserver((changes) => changes.forEach(({ target }) => target.matches(".take[data-state]") && stand(target)));
  observer.observe(document.getElementById("tracks"), { subtree: true, attributeFilter: ["data-state"] });
  signal.addEventListener("abort", () => observer.disconnect());
  document.addEventListener("edited", () => page.refreshAll().catch(() => {}), { signal });
  return page;
}

function stand(take) {
  const row = take.closest(".row");
  if (row.dataset.sound === take.dataset.sound) return;
  for (const part of PARTS) row.dataset[part] = take.dataset[part];
  setStar(row.querySelector("form[data-star-form]"), take.dataset.sound.slice("track:".length), take.dataset.star === "true");
}
