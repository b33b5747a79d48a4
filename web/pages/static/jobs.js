// The page with the list of jobs.

import { beginList } from "./list.js";
import { beginSelection } from "./select.js";

/** Start the page. Returns what app.js may call. */
export function begin({ signal }) {
  const page = beginList("jobs", { signal });
  beginSelection(page, { signal });
  return page;
}
