// Shows other pages of this service in the same document, so that a sound goes on. What is no page (a download, the API,
// the sign-in, another host) is left to the browser.

import { calm, focusTitle, get, isPlain, on, whileBusy } from "./elements.js";
import { ask, isSignedOut, pageOf, problemOf, signIn } from "./http.js";
import { announce } from "./merge.js";

const NOT_PAGES = /^\/(api|docs|static|rest|openapi\.json|healthz|readyz|metrics|sign-in)(\/|$)/;
const KEPT = 5; // pages that "back" shows at once, with the rows that were loaded by scrolling
const SETTLE = 100; // milliseconds after the last scrolling
const main = get("main");
const kept = new Map(); // the number of an entry of the history -> its page as it was left

let app; // the functions of app.js
let entry; // the number of the history entry whose page is shown
let address = location.href; // of the page that is shown
let hasLeft = false; // true while the page in the document has ended, and another one is loading
let loading; // the AbortController of the page that is loading
let scrolled;

/**
 * Start to follow links and to send forms. leave() ends the page, arrive() starts the new one, show(url, how) shows another
 * address of the page (a promise, or null if it cannot), failed(problem) shows a problem, canReturn() is true if the page can
 * start again with a copy of its content.
 */
export function startRouter(functions) {
  app = functions;
  history.scrollRestoration = "manual";
  const { state } = history;
  entry = state?.entry ?? history.length;
  if (state?.top) scrollTo(0, state.top);
  remember();
  on(window, "click", follow);
  on(window, "submit", submit);
  on(window, "popstate", travel);
  on(window, "pagehide", remember);
  on(window, "scroll", () => {
    clearTimeout(scrolled);
    scrolled = setTimeout(remember, SETTLE);
  });
}

/** Show a page of this service. Returns a promise of the end. */
export function visit(url, { replace = false } = {}) {
  const target = new URL(url, location.href);
  if (!isPage(target)) return location.assign(target);
  const how = replace || target.href === address ? "replace" : "push";
  halt();
  return app.show(target.href, how) ?? go(target, { how });
}

/** Stop loading another page: one does something else on this page. */
export function halt() {
  loading?.abort();
}

/** Change the address for a page that shows another list of itself. How: "push" or "replace". */
export function record(url, how) {
  clearTimeout(scrolled);
  if (how === "push") {
    remember();
    entry += 1;
    for (const number of kept.keys()) if (number >= entry) kept.delete(number);
  }
  history[`${how}State`]({ entry, top: how === "push" ? 0 : scrollY }, "", url);
  address = location.href;
}

/** Keep the position in the page with its entry of the history. */
function remember() {
  if (location.href === address) history.replaceState({ entry, top: scrollY }, "");
}

function follow(event) {
  const link = event.target.closest("a[href]:not([download], [target], [data-native])");
  if (!link || event.defaultPrevented || event.button || !isPlain(event)) return;
  const url = new URL(link.href);
  if (!isPage(url) || (url.hash && withoutHash(url.href) === withoutHash(address))) return;
  event.preventDefault();
  link.closest("dialog")?.close();
  visit(url);
}

function submit(event) {
  const { target: form, submitter } = event;
  const attribute = (name) => submitter?.getAttribute(`form${name}`) ?? form.getAttribute(name) ?? "";
  const url = new URL(attribute("action"), location.href);
  if (event.defaultPrevented || attribute("method") === "dialog" || !isPage(url) || form.matches("[data-native]")) return;
  event.preventDefault();
  const fields = new FormData(form, submitter);
  const body = form.enctype === "multipart/form-data" ? fields : new URLSearchParams(fields);
  whileBusy(form, () => (attribute("method") === "post" ? go(url, { body }) : visit(Object.assign(url, { search: body }))));
}

/** Show the page of the history entry that the browser has moved to. */
async function travel({ state }) {
  clearTimeout(scrolled);
  halt();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const [before, number, top] = [entry, state?.entry ?? entry + 1, state?.top ?? 0];
  const settle = () => {
    [entry, address] = [number, location.href];
    if (top || !jump()) scrollTo(0, top);
  };
  if (withoutHash(location.href) === withoutHash(address)) {
    if (hasLeft) start(); // back to the page before the other one was loaded
    return settle();
  }
  const shown = app.show(location.href);
  if (shown) return shown.then(settle);
  keep(address);
  leave(); // its address is no longer that of the window
  entry = number;
  if (kept.has(number)) return arrive(kept.get(number), { top });
  if (await go(new URL(location.href), { how: "travel", top })) return null;
  start();
  return history.go(before - number);
}

/** Load a page and show it. False if it cannot be shown. */
async function go(url, { how, body, top = 0 }) {
  halt();
  const { signal } = (loading = new AbortController());
  main.ariaBusy = "true";
  try {
    const page = await read(url, body, signal);
    signal.throwIfAborted();
    if (page) await arrive(page, { how: how ?? page.how, top });
    return true;
  } catch (problem) {
    if (!signal.aborted) app.failed(problem);
    return signal.aborted;
  } finally {
    if (signal === loading.signal) main.ariaBusy = "false";
  }
}

/** Read a page. Returns undefined if the browser loads it instead. Throws Problem. */
async function read(url, body, signal) {
  const answer = await ask(url, { method: body ? "POST" : "GET", body, signal });
  if (isSignedOut(answer)) return signIn((body ? address : url.href).slice(location.origin.length));
  const isHtml = answer.headers.get("Content-Type")?.startsWith("text/html");
  if (!isHtml && !answer.ok) throw await problemOf(answer);
  const fresh = isHtml && (await pageOf(answer));
  const content = fresh && fresh.querySelector("main[data-page]");
  if (!content || !isPage(new URL(answer.url))) return location.assign(answer.url);
  const next = answer.url === withoutHash(address) ? "replace" : "push";
  return { title: fresh.title, content, url: answer.url + url.hash, how: body && !answer.redirected ? null : next };
}

function leave() {
  hasLeft = true;
  app.leave();
}

function start() {
  hasLeft = false;
  app.arrive();
}

/** Keep the page that is left, if it has this address. Its copy has no listeners: the page starts anew with it. */
function keep(url) {
  if (!app.canReturn() || url !== address || main.querySelector("[data-editing]")) return;
  const content = main.cloneNode(true);
  for (const busy of content.querySelectorAll("[aria-busy]")) busy.ariaBusy = "false";
  const place = document.activeElement.closest("main a");
  kept.set(entry, { title: document.title, content, link: place?.getAttribute("href"), at: place?.getBoundingClientRect().top });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** Show a page: its address, its content, the position in it, and the focus. */
async function arrive({ title, content, url, link, at }, { how, top }) {
  if (how === "push") keep(location.href);
  leave();
  if (how === "push" || how === "replace") record(url, how);
  else address = location.href;
  kept.delete(entry);
  await changed(() => {
    document.title = title;
    main.dataset.page = content.dataset.page;
    main.replaceChildren(...content.childNodes);
    start();
    if (top || !jump()) scrollTo(0, top);
    const place = focus(link);
    if (link && place.getAttribute("href") === link) scrollBy(0, place.getBoundingClientRect().top - at); // rows that were not drawn have other heights
  });
  announce(title);
}

function changed(act) {
  if (!document.startViewTransition || calm.matches || document.hidden) return act();
  const transition = document.startViewTransition(act);
  for (const promise of [transition.ready, transition.finished]) promise.catch(() => {}); // another page came meanwhile
  return transition.updateCallbackDone;
}

/** Set the focus. Returns the element that has it. */
function focus(link) {
  const place = (link && main.querySelector(`a[href="${CSS.escape(link)}"]`)) || main.querySelector("[autofocus]");
  place?.focus({ preventScroll: true });
  return place ?? focusTitle();
}

/** Show the element that the address names. Returns it, or null. */
function jump() {
  const target = get(location.hash.slice(1));
  target?.scrollIntoView();
  return target;
}

function isPage(url) {
  return url.origin === location.origin && !NOT_PAGES.test(url.pathname);
}

function withoutHash(url) {
  return url.split("#")[0];
}
