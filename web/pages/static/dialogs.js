// Opens forms in a dialog.

import { create } from "./elements.js";
import "./forms.js"; // so that what was typed can be sent later, when the service may not answer for a moment
import { readPage } from "./http.js";

const kept = new Map(); // address -> the closed dialog with its draft

/** Open the form at an address. Throws Problem. */
export async function openDialog(address) {
  const dialog = kept.get(address) ?? (await read(address));
  if (!dialog.isConnected) document.body.append(dialog);
  if (!dialog.open) dialog.showModal();
}

/** Close the dialog of a form, and drop its draft. */
export function closeDialog(form) {
  const dialog = form.closest("dialog");
  if (!dialog) return;
  for (const [address, other] of kept) if (other === dialog) kept.delete(address);
  dialog.close();
  dialog.remove();
}

async function read(address) {
  const part = (await readPage(address, { stays: false })).querySelector("[data-part]");
  const title = part.querySelector("h1");
  title.id ||= "dialog-title";
  const dialog = create("dialog", { className: address === "/new" ? "drawer" : "modal" }, part);
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // a click on the backdrop
  if (address === "/new") kept.set(address, dialog);
  else dialog.addEventListener("close", () => dialog.remove());
  return dialog;
}
