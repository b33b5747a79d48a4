// Selects rows of a list, also those that are not in the document now, and does something with all of them.

import { create, get, on, tell, whileBusy } from "./elements.js";
import { load, sendJson } from "./http.js";
import { announce } from "./merge.js";
import { showStar } from "./stars.js";

const MOST = 200; // records in a request
const boxes = () => [...document.querySelectorAll('#results input[form="selection"]')];
const rowOf = (box) => box.closest(".row").id;

let form, chosen, last; // of the page that is shown; chosen: row id -> { value, number } of its box

/** Start to select in a list, until the signal ends it. refreshAll() shows the list as it is now. */
export function beginSelection(refreshAll, { signal }) {
  const [results, button] = [get("results"), get("select")];
  [form, chosen, last] = [get("selection"), new Map(), null];
  on(results, "click", ({ target, shiftKey }) => target.form === form && toggle(target, shiftKey), signal);
  on(results, "keydown", keyInList, signal);
  on(form, "keydown", ({ key }) => key === "Escape" && clear(), signal);
  on(form, "submit", (event) => submit(event, refreshAll), signal);
  on(get("deselect"), "click", clear, signal);
  on(document, "rows", restore, signal);
  on(button, "click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
    clear();
  }, signal);
  get("deselect").hidden = false;
  for (const box of boxes()) if (box.checked) note(box);
  show();
}

function note(box) {
  if (box.checked) chosen.set(rowOf(box), { value: box.value, number: Number(box.dataset.number) });
  else chosen.delete(rowOf(box));
}

function toggle(box, isRange) {
  const all = boxes();
  const [from, to] = [all.findIndex((each) => rowOf(each) === last), all.indexOf(box)];
  const range = isRange && from >= 0 ? all.slice(Math.min(from, to), Math.max(from, to) + 1) : [box];
  last = rowOf(box);
  check(range, box.checked);
}

function check(some, checked) {
  for (const box of some) {
    box.checked = checked;
    note(box);
  }
  show();
}

function keyInList(event) {
  const { key, target } = event;
  const isBox = target.form === form;
  if (target.matches("input:not([type=checkbox])")) return;
  if (key === "Escape" && chosen.size) clear();
  else if (key === "a" && (event.ctrlKey || event.metaKey)) check(boxes(), true);
  else if (key === "Enter" && isBox && chosen.size) form.querySelector("button:not([hidden])").focus();
  else return;
  event.preventDefault();
}

function clear() {
  const isInBar = form.contains(document.activeElement);
  chosen.clear();
  for (const box of boxes()) box.checked = false;
  if (isInBar) boxes().find((box) => rowOf(box) === last)?.focus();
  show();
}

/** After a change of the list: select its rows again. Takes that came meanwhile belong to the row. */
function restore() {
  for (const box of boxes()) {
    box.checked = chosen.has(rowOf(box));
    if (box.checked) note(box);
  }
  show();
}

function show() {
  const { size } = chosen;
  const number = [...chosen.values()].reduce((sum, each) => sum + each.number, 0);
  const words = `${size} selected${number > size ? `, ${number} tracks` : ""}`;
  const place = get("selected");
  if (size && place.textContent !== words) announce(`${words}. Press Enter to go to the buttons`);
  place.textContent = words;
  form.classList.toggle("shown", size > 0);
  form.inert = !size;
  get("results").classList.toggle("selecting", size > 0 || get("select").ariaPressed === "true");
}

/** Do it by REST. Deleting jobs cannot be undone: the service asks on a page first. */
function submit(event, refreshAll) {
  const [action, name] = [event.submitter.value, form.getAttribute("action").split("/")[1]];
  if (name === "jobs" && action === "delete") return addFar();
  event.preventDefault();
  const isByKeyboard = event.submitter.matches(":focus-visible");
  whileBusy(form, async () => {
    complain("");
    const ids = [...chosen.values()].flatMap(({ value }) => value.split(" "));
    if (ids.length > MOST) return complain(`At most ${MOST} ${name} at a time: these are ${ids.length}.`);
    await (action === "download" ? download(name, ids) : act(name, action, ids, { refreshAll, isByKeyboard }));
  }).catch((problem) => complain(problem.message));
}

async function act(name, action, ids, { refreshAll, isByKeyboard }) {
  const near = nearest();
  const { done, refused, discard } = await sendJson(`/api/${name}/actions`, { method: "POST", body: { action, ids } });
  if (action.endsWith("star")) for (const id of done) showStar(id, action === "star");
  clear();
  if (discard) {
    const button = (await load("discards")).offerUndo(discard, () => get(near)?.querySelector(".row-title"));
    if (isByKeyboard) button?.focus();
  } else announce(`${done.length} done`);
  if (refused.length) complain(`${refused.length} of ${ids.length} refused: ${refused[0].detail}`);
  await refreshAll();
}

/** The id of the row that is not selected and comes next after the last selected one, or else before it. */
function nearest() {
  const ids = boxes().map(rowOf);
  const end = ids.findLastIndex((id) => chosen.has(id));
  const stays = (id) => !chosen.has(id);
  return ids.slice(end).find(stays) ?? ids.slice(0, end).findLast(stays);
}

function download(name, ids) {
  const query = new URLSearchParams(ids.map((id) => [`${name.slice(0, -1)}_id`, id]));
  create("a", { href: `/api/tracks.zip?${query}`, download: "" }).click();
}

/** Add the selected rows that are not in the document to the form. */
function addFar() {
  for (const field of form.querySelectorAll("[data-far]")) field.remove();
  for (const [id, { value }] of chosen) {
    if (get(id)) continue;
    const field = create("input", { type: "hidden", name: "id", value });
    field.dataset.far = "";
    form.append(field);
  }
}

function complain(text) {
  tell(form.querySelector(".form-error"), text);
  form.classList.toggle("shown", Boolean(text) || chosen.size > 0);
}
