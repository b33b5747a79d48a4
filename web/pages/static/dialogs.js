// Links to a form open the form in a dialog. Without JavaScript, they open a page.

import { readPage } from "./http.js";

const kept = new Map(); // address -> the closed dialog with its draft

/** Open marked links in a dialog. Calls failed(problem) if the form cannot be loaded. */
export function openDialogs(failed) {
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog], a[data-close]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const dialog = link.closest("dialog");
    if (link.matches("[data-close]") ? !dialog : link.pathname === location.pathname) return;
    event.preventDefault();
    if (link.matches("[data-close]")) return dialog.close();
    try {
      show(kept.get(link.pathname) ?? (await read(link.pathname)));
    } catch (problem) {
      failed(problem);
    }
  });
}

/** Close the dialog of a form, and drop its draft. */
export function closeDialog(form) {
  const dialog = form.closest("dialog");
  if (!dialog) return;
  for (const [address, each] of kept) if (each === dialog) kept.delete(address);
  dialog.close();
  dialog.remove();
}

async function read(address) {
  const part = (await readPage(address)).querySelector("[data-part]");
  const dialog = document.createElement("dialog");
  const title = part.querySelector("h1");
  title.id ||= "dialog-title";
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.className = address === "/new" ? "drawer" : "modal";
  dialog.append(part);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // a click on the backdrop
  if (address === "/new") kept.set(address, dialog);
  else dialog.addEventListener("close", () => dialog.remove());
  return dialog;
}

function show(dialog) {
  if (!dialog.isConnected) document.body.append(dialog);
  if (!dialog.open) dialog.showModal();
}
