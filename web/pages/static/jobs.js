// The page with the list of jobs.

import { beginList } from "./list.js";

/** Start the page. Returns what app.js may call. */
export function begin(options) {
  return beginList("jobs", options);
}
