// The fields of the type that is chosen in the form for a new job.

import { readPage } from "./http.js";
import { announce } from "./merge.js";

const typed = new WeakMap(); // form -> what was typed into the fields of all types, by name

/** Show the fields of the type that is chosen. If the form is sent meanwhile, send it with them. */
export async function showFields(form) {
  const { job_type: type } = form.elements;
  const chosen = type.value;
  const loading = new AbortController();
  let isSent = false;
  form.ariaBusy = "true";
  form.addEventListener("submit", () => (isSent = true), loading);
  try {
    const fresh = await readPage(`/new?${form.dataset.query}&job_type=${encodeURIComponent(chosen)}`);
    if (type.value === chosen) replaceFields(form, fresh);
  } catch (problem) {
    if (type.value === chosen) type.value = form.dataset.type;
    isSent = false;
    announce(problem.message);
  } finally {
    loading.abort();
    if (type.value === form.dataset.type) form.ariaBusy = "false";
  }
  if (isSent && form.ariaBusy === "false") form.requestSubmit();
}

/** Fill in the form with the fields of an earlier job. Words that were typed stay. */
export async function fillIn(link) {
  const part = link.closest("[data-part]");
  const fresh = (await readPage(link.href)).querySelector("[data-part]");
  const words = (root) => [...root.querySelectorAll('[name="prompt"], [name="lyrics"]')];
  for (const [index, field] of words(part).entries()) if (isChanged(field)) words(fresh)[index].value = field.value;
  part.replaceWith(fresh);
  words(fresh)[0].focus();
}

/** Replace the fields that depend on the type, and enter what was typed into those of the same names. */
function replaceFields(form, fresh) {
  const entries = typed.get(form) ?? new Map();
  typed.set(form, entries);
  for (const field of ownFields(form)) {
    if (isChanged(field)) entries.set(field.name, field[entryOf(field)]);
    else entries.delete(field.name);
  }
  for (const part of fresh.querySelectorAll("[data-of-type]")) form.querySelector(`#${part.id}`).replaceWith(part);
  form.dataset.type = fresh.querySelector("[data-type]").dataset.type;
  for (const field of ownFields(form)) {
    const entry = entries.get(field.name);
    const canTake = !field.options || [...field.options].some(({ value }) => value === entry);
    if (entry !== undefined && canTake) field[entryOf(field)] = entry;
  }
}

function ownFields(form) {
  return form.querySelectorAll('[data-of-type] :is(input:not([type="hidden"]), select, textarea)');
}

function entryOf({ type }) {
  return type === "checkbox" ? "checked" : "value";
}

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.options) return !field.selectedOptions[0]?.defaultSelected;
  return field.value !== field.defaultValue;
}
