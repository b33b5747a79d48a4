// The fields of the type that is chosen in the form for a new job.

import { readPage } from "./http.js";
import { announce } from "./merge.js";

const typed = new WeakMap(); // form -> what was typed into the fields of all types, by name

/** Show the fields of the type that is chosen. */
export async function showFields(form) {
  const { job_type: type } = form.elements;
  const chosen = type.value;
  form.ariaBusy = "true";
  try {
    const fresh = await readPage(`/new?job_type=${encodeURIComponent(chosen)}`);
    if (type.value === chosen) replaceFields(form, fresh);
  } catch (problem) {
    if (type.value === chosen) type.value = form.dataset.type;
    announce(problem.message);
  } finally {
    if (type.value === form.dataset.type) form.ariaBusy = "false";
  }
}

function replaceFields(form, fresh) {
  const entries = remember(form);
  for (const part of [...fresh.querySelectorAll("[data-of-type]")]) form.querySelector(`#${part.id}`).replaceWith(part);
  form.dataset.type = fresh.querySelector("[data-type]").dataset.type;
  for (const field of ownFields(form)) {
    const entry = entries.get(field.name);
    if (entry !== undefined) enter(field, entry);
  }
}

/** What was typed so far into the fields that depend on the type. */
function remember(form) {
  const entries = typed.get(form) ?? new Map();
  typed.set(form, entries);
  for (const field of ownFields(form)) {
    if (isChanged(field)) entries.set(field.name, field.type === "checkbox" ? field.checked : field.value);
    else entries.delete(field.name);
  }
  return entries;
}

function ownFields(form) {
  return form.querySelectorAll('[data-of-type] :is(input:not([type="hidden"]), select, textarea)');
}

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.matches("select")) return !field.selectedOptions[0]?.defaultSelected;
  return field.value !== field.defaultValue;
}

function enter(field, entry) {
  if (field.type === "checkbox") field.checked = Boolean(entry);
  else if (!field.matches("select") || [...field.options].some((option) => option.value === entry)) field.value = entry;
}
