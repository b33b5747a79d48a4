// A file that is dropped on the list of jobs, or on the page "Queue many": the service shows its jobs in a table. It is loaded
// when something is dragged in.

import { create, get, on } from "./elements.js";
import { notify } from "./merge.js";

const root = document.documentElement;

function canDrop({ dataTransfer }) {
  return ["jobs", "many"].includes(get("main").dataset.page) && dataTransfer.types.includes("Files");
}

on(document, "dragover", (event) => {
  if (!canDrop(event)) return;
  event.preventDefault();
  root.classList.add("dropping");
});
on(document, "dragleave", ({ relatedTarget }) => relatedTarget || root.classList.remove("dropping"));
on(document, "drop", (event) => {
  root.classList.remove("dropping");
  if (!canDrop(event)) return;
  event.preventDefault();
  const { files } = event.dataTransfer;
  if (files.length !== 1) return notify("Drop one file at a time.");
  document.querySelector("dialog[open]")?.close();
  const form = get("many") ?? newForm();
  form.elements.file.files = files;
  form.requestSubmit();
});

function newForm() {
  const file = create("input", { type: "file", name: "file", hidden: true });
  const form = create("form", { id: "many", method: "post", enctype: "multipart/form-data", action: "/jobs/many", hidden: true }, file);
  get("main").append(form);
  return form;
}
