// Changes the order of the jobs that wait: by the buttons of a row, by Alt and an arrow key, and by dragging.

import { get, on } from "./elements.js";
import { sendJson } from "./http.js";
import { announce, notify } from "./merge.js";

const EDGE = 60; // pixels at the top and the end of the window where dragging scrolls
const WAYS = { ArrowUp: "up", ArrowDown: "down" };
const rows = () => [...document.querySelectorAll("#jobs .row[id]")];
const idOf = (row) => row.id.slice("job-".length);

let started; // the signal of the list that has these keys and buttons
let isMoving = false;

/** Let one move the rows of a list, until the signal ends it. refreshAll() shows the list as it is now. */
export function beginOrder(list, refreshAll, signal) {
  if (started === signal) return;
  started = signal;
  on(list, "submit", (event) => {
    const form = event.target;
    if (!form.action.endsWith("/next")) return;
    event.preventDefault();
    event.stopPropagation(); // forms.js would send it, too
    const moved = form.closest(".row");
    move(moved, () => put(form.action.split("/").at(-2), form.elements.before?.value), refreshAll);
  }, signal);
  on(list, "keydown", (event) => {
    const button = event.altKey && event.target.closest(".row")?.querySelector(`[data-move="${WAYS[event.key]}"] button`);
    if (!button) return;
    event.preventDefault();
    button.click();
  }, signal);
  on(list, "pointerdown", (event) => event.button === 0 && event.target.matches(".grip") && drag(event, refreshAll), signal);
}

/** Put a job before another one, or first. */
function put(id, before) {
  return sendJson(`/api/jobs/${id}/next`, { method: "POST", body: before ? { before } : {} });
}

/** Move a row by an act. The focus stays where it is in the row, and goes to its title if its button has gone. */
async function move({ id }, act, refreshAll) {
  if (isMoving) return;
  isMoving = true;
  const home = document.activeElement.closest(`#${CSS.escape(id)}`) && document.activeElement.id;
  try {
    await act();
    await refreshAll();
    const row = get(id);
    if (!row) return;
    if (home !== null) (row.contains(get(home)) ? get(home) : row.querySelector(".row-title")).focus();
    row.scrollIntoView({ block: "nearest" });
    announce(row.querySelector(".row-sub").firstElementChild.textContent);
  } catch (problem) {
    notify(problem.message);
    refreshAll().catch(() => {});
  } finally {
    isMoving = false;
  }
}

/** Follow the pointer until it is released, or until Escape. Meanwhile the row stays the same element. */
function drag({ target: grip, pointerId }, refreshAll) {
  const row = grip.closest(".row");
  const end = new AbortController();
  const { signal } = end;
  let goal = null; // { row, isBelow }: the row beside which the dragged one goes
  const leave = () => {
    end.abort();
    delete row.dataset.editing;
    mark(null);
  };
  grip.setPointerCapture(pointerId);
  row.dataset.editing = ""; // so no refresh replaces it
  on(grip, "pointermove", ({ clientY }) => {
    if (clientY < EDGE) scrollBy({ top: clientY - EDGE, behavior: "instant" });
    if (clientY > innerHeight - EDGE) scrollBy({ top: clientY - innerHeight + EDGE, behavior: "instant" });
    mark((goal = goalAt(clientY)));
  }, signal);
  on(grip, "pointerup", () => {
    leave();
    if (goal && goal.row !== row) move(row, () => drop(row, goal), refreshAll);
  }, signal);
  on(grip, "pointercancel lostpointercapture", leave, signal);
  on(window, "keydown", ({ key }) => key === "Escape" && leave(), signal);
}

/** The row before which something at this height is dropped; below the last row, that row. */
function goalAt(height) {
  const all = rows();
  const middle = ({ top, height: size }) => top + size / 2;
  const row = all.find((each) => height < middle(each.getBoundingClientRect()));
  return row ? { row, isBelow: false } : { row: all.at(-1), isBelow: true };
}

/** A job goes behind the last row in two steps: before it, and then that one before it. */
async function drop(row, { row: goal, isBelow }) {
  await put(idOf(row), idOf(goal));
  if (isBelow) await put(idOf(goal), idOf(row));
}

function mark(goal) {
  for (const row of rows()) {
    if (row === goal?.row) row.dataset.drop = goal.isBelow ? "below" : "above";
    else delete row.dataset.drop;
  }
}
