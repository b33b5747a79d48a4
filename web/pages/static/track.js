// Keeps the page of a track up to date: its name, its star, and its loops.

import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { beginLyrics } from "./lyrics.js";
import { coalesced, debounced, merge, tick } from "./merge.js";
import { player } from "./player.js";
import { tellTimes } from "./times.js";

const SETTLE = 100; // milliseconds

/** Start the page. Returns what app.js may call. */
export function begin({ signal }) {
  const { track, job } = document.getElementById("track").dataset;
  const refresh = coalesced(async () => {
    try {
      merge(await readPage(location.pathname, { signal }));
      tellTimes();
    } catch (problem) {
      if (problem.status === 404) gone();
      throw problem;
    }
  });
  const settled = debounced(() => refresh().catch(() => {}), SETTLE);
  const changed = ({ entity, entity_id: id, change, data }) => {
    const loop = entity === "loop" && document.getElementById(`loop-${id}`);
    if (loop && change === "updated" && loop.dataset.status === data.status) tick(loop, data);
    else if (id === track && change === "deleted") gone();
    else if (entity === "loop" || id === track) settled();
  };
  const follower = new Follower(`/api/jobs/${job}/events`, { changed, refresh, signal });
  follower.start();
  beginLyrics({ signal, player });
  return { follower, refresh };
}

function gone() {
  if (document.querySelector("#track > .callout")) return;
  const words = Object.assign(document.createElement("p"), { className: "callout", role: "alert", textContent: "This track has been deleted." });
  document.querySelector(".job-head").after(words);
  document.getElementById("track-actions").replaceChildren();
}
