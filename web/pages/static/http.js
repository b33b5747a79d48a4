// Sends requests to this service, and reads its answers.

const PATIENCE = 20_000; // milliseconds

/** A refused request. Its status is 0 if the service did not answer. */
export class Problem extends Error {
  constructor(detail, status = 0, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }

  get offline() {
    return this.status === 0;
  }
}

/** Send a request. Returns the answer; a body is sent as JSON. Throws Problem. */
export async function send(url, { method = "GET", body } = {}) {
  const options = { method, signal: AbortSignal.timeout(PATIENCE) };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new Problem("The service does not answer. Nothing was lost: try again in a moment.");
  }
  if (answer.status === 401 || (answer.redirected && new URL(answer.url).pathname === "/sign-in")) signIn();
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** The JSON of a record. Throws Problem. */
export async function sendJson(url, options) {
  const answer = await send(url, options);
  return answer.status === 204 ? null : answer.json();
}

/** A page of this service as a document. Throws Problem. */
export async function readPage(url) {
  const answer = await send(url);
  return new DOMParser().parseFromString(await textOf(answer), "text/html");
}

/** A text. Throws Problem. */
export async function readText(url) {
  return textOf(await send(url));
}

/** A random id. crypto.randomUUID() does not exist on pages loaded over plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function textOf(answer) {
  try {
    return await answer.text();
  } catch {
    throw new Problem("The service stopped in the middle of its answer.");
  }
}

async function problemOf(answer) {
  const isProblem = (answer.headers.get("Content-Type") ?? "").includes("problem+json");
  const problem = isProblem ? await answer.json().catch(() => ({})) : {};
  const detail = problem.detail ?? `The service answered ${answer.status} ${answer.statusText}.`;
  return new Problem(detail, answer.status, problem.errors ?? []);
}

function signIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}
