// Shows other pages of this service in the same document, so that a sound goes on. Whatever cannot be shown in this way
// is left to the browser: other hosts, downloads, the API and its documentation, and the sign-in.

import { ask, isSignIn, pageOf, problemOf, signIn } from "./http.js";
import { announce } from "./merge.js";

const NOT_PAGES = /^\/(api|docs|static|rest|openapi\.json|healthz|readyz|metrics|sign-in)(\/|$)/;
const KEPT = 5; // pages that "back" shows at once, with the rows that were loaded by scrolling
const SETTLE = 100; // milliseconds after the last scrolling
const main = document.getElementById("main");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const kept = new Map(); // the number of an entry of the history -> its page as it was when it was left

let app; // the functions that app.js gave to startRouter()
let entry = 0; // the number of the history entry whose page is shown
let address = location.href; // of the page that is shown
let loading = null; // the AbortController of the page that is loading
let scrolled;

/**
 * Start to follow links and to send forms. The functions of the app: leave() ends the page, arrive() starts the new one,
 * show(url) lets a page show another address of itself (a promise, or null if it cannot), failed(problem) shows a problem.
 */
export function startRouter(functions) {
  app = functions;
  history.scrollRestoration = "manual";
  const { state } = history;
  entry = state?.entry ?? history.length;
  if (state?.top) scrollTo(0, state.top);
  remember();
  window.addEventListener("click", follow);
  window.addEventListener("submit", submit);
  window.addEventListener("popstate", travel);
  window.addEventListener("pagehide", remember);
  window.addEventListener("scroll", () => {
    clearTimeout(scrolled);
    scrolled = setTimeout(remember, SETTLE);
  });
}

/** Show a page of this service. The promise ends when it is shown, or when it cannot be shown. */
export function visit(url, { replace = false } = {}) {
  const target = new URL(url, location.href);
  if (!isPage(target)) return location.assign(target);
  return go(target, { how: replace || target.href === address ? "replace" : "push" });
}

/** Give a page that shows another list of itself the address of that list. How is "push" or "replace". */
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

function isPage(url) {
  return url.origin === location.origin && !NOT_PAGES.test(url.pathname);
}

/** Keep the position in the page with its entry of the history. */
function remember() {
  if (location.href === address) history.replaceState({ entry, top: scrollY }, "");
}

function follow(event) {
  const link = event.target.closest("a[href]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || event.defaultPrevented || link.matches("[download], [target], [data-native]")) return;
  const url = new URL(link.href);
  if (!isPage(url) || (url.hash && withoutHash(url.href) === withoutHash(address))) return;
  event.preventDefault();
  visit(url);
}

/** Send a form and show the page that follows. A second click meanwhile does not send it again. */
async function submit(event) {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method") === "dialog") return;
  const isBusy = form.ariaBusy === "true";
  const url = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "", location.href);
  form.ariaBusy = "true";
  if (form.matches("[data-native], [target]") || !isPage(url)) {
    window.addEventListener("pagehide", () => (form.ariaBusy = "false"), { once: true });
    if (isBusy) event.preventDefault();
    return;
  }
  event.preventDefault();
  if (isBusy) return;
  const body = new URLSearchParams(new FormData(form, submitter));
  if ((submitter?.getAttribute("formmethod") ?? form.getAttribute("method"))?.toLowerCase() === "post") await go(url, { body });
  else await visit(Object.assign(url, { search: body }));
  form.ariaBusy = "false";
}

/** Show the page of the history entry that the browser has moved to. */
async function travel({ state }) {
  clearTimeout(scrolled);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  const number = state?.entry ?? entry + 1;
  if (withoutHash(location.href) === withoutHash(address)) return settle(number, state);
  const shown = app.show(location.href);
  if (shown) return shown.then(() => settle(number, state), app.failed);
  const before = entry;
  keep();
  app.leave(); // its address is no longer that of the window
  entry = number;
  const then = { how: "travel", top: state?.top ?? 0 };
  const page = kept.get(number);
  if (page) await arrive(page, then);
  else if (!(await go(new URL(location.href), then))) {
    app.arrive();
    history.go(before - number);
  }
}

function settle(number, state) {
  [entry, address] = [number, location.href];
  if (!jump() || state?.top) scrollTo(0, state?.top ?? 0);
}

/** Load a page and show it. True if it is shown, or if another one is loading instead of it. */
async function go(url, { how, body, top = 0 }) {
  loading?.abort();
  const here = (loading = new AbortController());
  main.ariaBusy = "true";
  try {
    const page = await read(url, body, here.signal);
    if (!page) return true;
    here.signal.throwIfAborted();
    const then = how ?? (page.url === withoutHash(address) ? "replace" : "push");
    await arrive(page, { how: body && !page.redirected ? null : then, top });
    return true;
  } catch (problem) {
    if (here.signal.aborted) return true;
    app.failed(problem);
    return false;
  } finally {
    if (loading === here) [loading, main.ariaBusy] = [null, "false"];
  }
}

/** Read a page. Returns null if the browser loads it instead. Throws Problem. */
async function read(url, body, signal) {
  const answer = await ask(url, body ? { method: "POST", body, signal } : { signal });
  const isHtml = (answer.headers.get("Content-Type") ?? "").startsWith("text/html");
  if (isSignIn(answer) || answer.status === 401) return signIn(body ? withoutOrigin(address) : withoutOrigin(url.href));
  if (!isHtml && !answer.ok) throw await problemOf(answer);
  const fresh = isHtml ? await pageOf(answer) : null;
  const part = fresh?.querySelector("main[data-page]");
  if (!part || !isPage(new URL(answer.url))) return location.assign(answer.url);
  return { ...pageIn(fresh, part), url: answer.url, hash: url.hash, redirected: answer.redirected };
}

function pageIn(root, part) {
  const current = [...root.querySelectorAll(".places [aria-current]")].map((link) => [link.getAttribute("href"), link.ariaCurrent]);
  return { title: root.title, name: part.dataset.page, nodes: [...part.childNodes], current };
}

/** Keep the page that is left. Its copy has no listeners: the page starts anew with it. */
function keep() {
  if (!app.canReturn() || location.href !== address) return;
  const copy = main.cloneNode(true);
  for (const busy of copy.querySelectorAll("[aria-busy]")) busy.ariaBusy = "false";
  kept.set(entry, { ...pageIn(document, copy), focused: document.activeElement.closest("main a")?.getAttribute("href") });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** Show a page: its address, its content, the position in it, and the focus. */
async function arrive(page, { how, top }) {
  if (how === "push") keep();
  app.leave();
  if (how === "push" || how === "replace") record(page.url + page.hash, how);
  else address = location.href;
  kept.delete(entry);
  await changed(() => {
    document.title = page.title;
    main.dataset.page = page.name;
    main.replaceChildren(...page.nodes);
    const current = new Map(page.current);
    for (const link of document.querySelectorAll(".places a")) link.ariaCurrent = current.get(link.getAttribute("href")) ?? null;
    app.arrive();
    if (top || !jump()) scrollTo(0, top);
    focusOn(page.focused);
  });
  announce(page.title);
}

/** Change the document, with a View Transition if the browser has one. */
function changed(act) {
  if (!document.startViewTransition || calm.matches || document.hidden) return act();
  const transition = document.startViewTransition(act);
  for (const promise of [transition.ready, transition.finished]) promise.catch(() => {}); // another page came meanwhile
  return transition.updateCallbackDone;
}

function focusOn(href) {
  const again = href && main.querySelector(`a[href="${CSS.escape(href)}"]`);
  const place = again || main.querySelector("[autofocus]") || main.querySelector("h1") || main;
  if (place.matches("h1")) place.tabIndex = -1;
  place.focus({ preventScroll: true });
}

/** Show the element that the address names. False if it names none. */
function jump() {
  const target = document.getElementById(location.hash.slice(1));
  target?.scrollIntoView();
  return Boolean(target);
}

function withoutHash(url) {
  return url.split("#")[0];
}

function withoutOrigin(url) {
  return url.slice(location.origin.length);
}
