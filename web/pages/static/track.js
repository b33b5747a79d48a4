// Keeps the page of a track up to date: its name, its star, and its loops.

import { get } from "./elements.js";
import { tick } from "./merge.js";
import { followRecord } from "./record.js";

/** Start the page. Returns what app.js may call. */
export function begin({ signal }) {
  const { track, job } = get("track").dataset;
  return followRecord("track", { job, signal, changed });

  function changed({ entity, entity_id: id, change, data }, page) {
    const loop = entity === "loop" && get(`loop-${id}`);
    if (loop && change === "updated" && loop.dataset.status === data.status) tick(loop, data);
    else if (id === track && change === "deleted") page.gone();
    else if (entity === "loop" || id === track) page.settled();
  }
}
