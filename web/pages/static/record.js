// What the pages of a job and of a track have in common: they follow the events of the job.

import { create, get } from "./elements.js";
import { readPage } from "./http.js";
import { Follower } from "./live.js";
import { coalesced, debounced, merge } from "./merge.js";
import { player } from "./player.js";
import { tellTimes } from "./times.js";

const SETTLE = 100; // milliseconds

/**
 * Start to update a page. changed(event, page) is called for each event, refreshed() after each change of the page. Returns
 * the page: refresh(), follower, settled() to refresh soon, and gone() to say that its record was deleted.
 */
export function followRecord(name, { job, signal, changed, refreshed = () => {} }) {
  let isGone, sings;
  const gone = () => {
    if (!document.querySelector(`#${name} > .callout`)) get(name).querySelector("h1").closest(`#${name} > *`).after(create("p", { className: "callout", role: "alert" }, `This ${name} has been deleted.`));
    isGone = true;
    get(`${name}-actions`).replaceChildren();
  };
  const sing = async () => {
    if (sings || !document.querySelector("[data-lyrics]")) return;
    sings = true;
    const { beginLyrics } = await import("./lyrics.js");
    if (!signal.aborted) beginLyrics({ signal, player });
  };
  const refresh = coalesced(async () => {
    if (isGone || signal.aborted) return;
    try {
      const fresh = await readPage(location.pathname, { signal });
      signal.throwIfAborted();
      merge(fresh);
      tellTimes();
      refreshed();
      sing();
    } catch (problem) {
      if (problem.status === 404) gone();
      throw problem;
    }
  });
  const page = { refresh, gone, settled: debounced(() => refresh().catch(() => {}), SETTLE) };
  page.follower = new Follower(`/api/jobs/${job}/events`, { changed: (event) => changed(event, page), refresh, signal });
  page.follower.start();
  sing();
  return page;
}
