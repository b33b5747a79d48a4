// Sends forms by REST instead of loading a page, and shows the message of each refused field.

import { tell, whileBusy } from "./elements.js";
import { Problem, newId, sendJson } from "./http.js";
import { announce } from "./merge.js";

const BODIES = { job: jobOf, loop: loopOf };
const PARAMETER = "parameters.";
const attempts = new WeakMap(); // form -> the body that failed; it is sent again with the same id

/** Send a form. Calls done(record) after a success, and shows a refusal in the form. */
export function sendForm(form, done) {
  return whileBusy(form, async () => {
    forget(form);
    try {
      const record = await ask(form);
      attempts.delete(form);
      done(record);
    } catch (problem) {
      show(form, problem);
    }
  });
}

function ask(form) {
  const { api, body, method = "POST" } = form.dataset;
  if (method === "DELETE") return remove(`${api}${form.elements.files.checked ? "?files=true" : ""}`);
  return sendJson(api, { method, body: body && identified(form, body) });
}

async function remove(url) {
  await sendJson(url, { method: "DELETE" }).catch((problem) => {
    if (problem.status !== 404) throw problem; // else the record is deleted already, which is the goal
  });
}

/** The body with an id. The same body gets the same id again, so sending it twice creates one record. */
function identified(form, kind) {
  const body = BODIES[kind](form);
  const text = JSON.stringify(body);
  if (attempts.get(form)?.text !== text) attempts.set(form, { text, id: newId() });
  return { [`${kind}_id`]: attempts.get(form).id, ...body };
}

function jobOf(form) {
  const metadata = {};
  for (const field of form.querySelectorAll("[name]:not([type=hidden])")) {
    const { name, type, checked } = field;
    const text = field.value.trim();
    if (!text) continue;
    const [place, key] = name.startsWith(PARAMETER) ? [(metadata.parameters ??= {}), name.slice(PARAMETER.length)] : [metadata, name];
    place[key] = type === "checkbox" ? checked : type === "number" ? Number(text) : text;
  }
  const { prompt: _, job_type, takes, seed, ...others } = metadata;
  return { prompt: form.elements.prompt.value, job_type, metadata: others, takes, seed };
}

/** The body for a loop. Refuses what does not go together in the words of entries.py: REST names its own fields. Throws Problem. */
function loopOf(form) {
  const fields = new FormData(form);
  const [fades, skipsIntro] = [fields.has("fade_in_out"), fields.has("intro")];
  const body = { fade_in_out: fades, intro: !skipsIntro, format: fields.get("format") };
  for (const name of ["duration", "bars", "candidate"]) if (fields.get(name)) body[name] = Number(fields.get(name));
  const { duration, bars } = body;
  if (!duration && !bars) refuse("duration", "expected a number of seconds or of bars");
  if (duration && bars) refuse("bars", "expected seconds or bars, not both");
  if (fades && skipsIntro) refuse("intro", "a file that fades in and out does not repeat as a whole: choose one of the two");
  return body;
}

function refuse(field, message) {
  throw new Problem(message, 422, [{ field, message }]);
}

function forget(form) {
  for (const message of form.querySelectorAll("[data-error], .form-error")) message.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.ariaInvalid = null;
}

function show(form, { message, errors }) {
  const others = errors.filter((error) => !showAtField(form, error)).map((error) => `${error.field} ${error.message}`);
  if (!errors.length) others.push(message);
  const place = form.querySelector(".form-error");
  if (others.length && place) tell(place, others.join("; "));
  form.querySelector("[aria-invalid]")?.focus();
  announce(message);
}

/** Show a message at the field with this name. True if the form has such a field. */
function showAtField(form, { field, message }) {
  const name = CSS.escape(field.replace(/^metadata\./, ""));
  const place = form.querySelector(`[data-error="${name}"]`);
  if (!place) return false;
  tell(place, message);
  form.querySelector(`[name="${name}"]:not([type="hidden"])`)?.setAttribute("aria-invalid", "true");
  return true;
}
