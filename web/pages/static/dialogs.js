// Opens forms in a dialog.

import { create, on } from "./elements.js";
import "./forms.js"; // so that what was typed can be sent later, when the service may not answer for a moment
import { readPage } from "./http.js";

const DRAFT = "/new";

let draft = null; // the dialog for a new job, which keeps what was typed until the form is sent

/** Open the form at an address. Throws Problem. */
export async function openDialog(address) {
  const dialog = address === DRAFT ? (draft ??= await read(address)) : await read(address);
  if (!dialog.isConnected) document.body.append(dialog);
  if (!dialog.open) dialog.showModal();
}

async function read(address) {
  const part = (await readPage(address, { stays: false })).querySelector("[data-part]");
  const title = part.querySelector("h1");
  title.id ||= "dialog-title";
  const dialog = create("dialog", { className: address === DRAFT ? "drawer" : "modal" }, part);
  dialog.setAttribute("aria-labelledby", title.id);
  on(dialog, "click", (event) => event.target === dialog && dialog.close()); // a click on the backdrop
  on(dialog, "close", () => {
    if (dialog === draft && dialog.returnValue !== "sent") return;
    if (dialog === draft) draft = null;
    dialog.remove();
  });
  return dialog;
}
