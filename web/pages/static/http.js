// Sends requests to this service, and reads its answers.

import { get } from "./elements.js";

const PATIENCE = 20_000; // milliseconds
const SILENCE = "The service does not answer. Nothing was lost: try again in a moment.";

/** A refused request. Its status is 0 if the service did not answer. */
export class Problem extends Error {
  constructor(detail, status = 0, errors = []) {
    super(detail);
    Object.assign(this, { status, errors });
  }

  /** True if the service did not answer, or if only a proxy in front of it did. */
  get offline() {
    return this.status === 0 || this.status > 501;
  }
}

/**
 * Send a request, with a body as JSON. Returns the answer. Throws Problem, and the reason of a signal that ends the request.
 * When one is signed out, the sign-in is loaded; stays: the page stays, and shows a link to the sign-in.
 */
export async function send(url, { headers, body, stays = false, ...options } = {}) {
  const type = body && { "Content-Type": "application/json" };
  const answer = await ask(url, { ...options, headers: { ...type, ...headers }, body: JSON.stringify(body) });
  const isOut = isSignedOut(answer);
  if (isOut && !stays) signIn(location.pathname + location.search);
  get("signed-out").hidden = !isOut || !stays;
  if (isOut) throw new Problem("You are signed out.", 401);
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** Call fetch() with a time limit. Throws Problem without an answer, and the reason of a signal that ends the request. */
export async function ask(url, { signal, ...options } = {}) {
  const limits = [AbortSignal.timeout(PATIENCE), signal].filter(Boolean);
  try {
    return await fetch(url, { ...options, signal: AbortSignal.any(limits) });
  } catch {
    signal?.throwIfAborted();
    throw new Problem(SILENCE);
  }
}

/** The JSON of a record. Throws Problem. */
export async function sendJson(url, options) {
  const answer = await send(url, options);
  return answer.status === 204 ? null : answer.json();
}

/** A page of this service as a document, without leaving the page that is shown. Throws Problem. */
export async function readPage(url, options) {
  return pageOf(await send(url, { stays: true, ...options }));
}

/**
 * The page in an answer, without what is for browsers without JavaScript. Throws Problem. Chromium never frees a document
 * that had an audio element, so that part is cut from the text.
 */
export async function pageOf(answer) {
  const text = await answer.text().catch(() => {
    throw new Problem("The service stopped in the middle of its answer.");
  });
  return new DOMParser().parseFromString(text.replace(/<noscript>.*?<\/noscript>/gs, ""), "text/html");
}

/** Load a module when it is used for the first time. Throws Problem. */
export function load(name) {
  return import(`./${name}.js`).catch(() => {
    throw new Problem(SILENCE);
  });
}

/** A random id. crypto.randomUUID() does not exist on pages loaded over plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** True if the answer asks one to sign in. */
export function isSignedOut({ status, redirected, url }) {
  return status === 401 || (redirected && new URL(url).pathname === "/sign-in");
}

/** Load the sign-in, which leads to an address afterwards. */
export function signIn(address) {
  location.assign(`/sign-in?next=${encodeURIComponent(address)}`);
}

/** The Problem in an answer that is not a success. */
export async function problemOf(answer) {
  const { status, statusText, headers } = answer;
  const isProblem = headers.get("Content-Type")?.includes("problem+json");
  const { detail, errors } = isProblem ? await answer.json().catch(() => ({})) : {};
  return new Problem(detail ?? `The service answered ${status} ${statusText}.`, status, errors);
}
