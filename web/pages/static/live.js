// Keeps a page up to date: by an event stream if there is one, else by a request every two seconds.
// The stream is closed while the page is hidden, because a browser opens only six connections to one host.

import { get, listening } from "./elements.js";

const NAMES = ["job", "track", "loop"].flatMap((entity) => ["created", "updated", "deleted"].map((change) => `${entity}.${change}`));
const POLL = 2_000; // milliseconds, as in the next constants
const RECONNECT = 300;
const LONGEST_WAIT = 30_000;
const REFUSED_WAIT = 30_000;
const LOOK_PATIENCE = 5_000;
const WORDS = {
  live: ["Live", "Changes are shown as they happen"],
  polling: ["Every 2 s", "There is no stream of events just now: this page asks every two seconds"],
  offline: ["Offline", "The service does not answer"],
};

const pill = get("connection");
const words = get("connection-words");
const banner = get("offline");
const countdown = get("offline-next");

/**
 * Calls changed(event) for each event of a stream, and refresh() (a promise) when the page may be out of date, until the
 * signal ends it. The document gets each event, too: "record" with the event as its detail.
 */
export class Follower {
  #url;
  #changed;
  #refresh;
  #source = null;
  #since = null;
  #timers = new Set();
  #failures = 0;
  #misses = 0; // refreshes in a row that got no answer, although the service may say that it is healthy
  #refusedUntil = 0;
  #signal;

  constructor(url, { changed, refresh, signal }) {
    [this.#url, this.#changed, this.#refresh, this.#signal] = [url, changed, refresh, signal];
  }

  start() {
    const on = listening(this.#signal);
    on(document, "visibilitychange", () => (document.hidden ? this.#stop() : this.#resume()));
    on(window, "pagehide", () => this.#stop());
    on(window, "pageshow", (event) => event.persisted && this.#resume());
    on(window, "online", () => this.lookNow());
    on(get("offline-now"), "click", () => this.lookNow());
    this.#signal.addEventListener("abort", () => this.#stop());
    if (!this.#rests) this.#open();
  }

  get #rests() {
    return document.hidden || this.#signal.aborted;
  }

  #resume() {
    this.#stop();
    this.#open();
    this.#catchUp();
  }

  #stop() {
    this.#source?.close();
    this.#source = null;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #after(milliseconds, act) {
    if (this.#signal.aborted) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, milliseconds);
    this.#timers.add(timer);
  }

  #open() {
    let opened = false;
    const source = new EventSource(this.#since === null ? this.#url : `${this.#url}?since=${this.#since}`);
    this.#source = source;
    source.onopen = () => {
      opened = true;
      show("live");
      if (this.#since === null) this.#catchUp();
    };
    source.onerror = () => {
      this.#stop();
      if (!opened) this.#refusedUntil = Date.now() + REFUSED_WAIT;
      this.#after(opened ? RECONNECT : 0, () => this.#look());
    };
    for (const name of NAMES) source.addEventListener(name, (message) => this.#take(message));
    source.addEventListener("resync", (message) => {
      this.#since = message.lastEventId || this.#since;
      this.#catchUp();
    });
  }

  #take(message) {
    this.#since = message.lastEventId || this.#since;
    const event = JSON.parse(message.data);
    this.#changed(event);
    document.dispatchEvent(new CustomEvent("record", { detail: event }));
  }

  /** Check now whether the service answers. Call this after a request that got no answer. */
  lookNow() {
    if (this.#source === null && !this.#rests) {
      this.#stop();
      this.#look();
    }
  }

  async #look() {
    const wasOffline = this.#failures > 0;
    try {
      const answer = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(LOOK_PATIENCE) });
      if (!answer.ok) throw new Error(answer.statusText);
    } catch {
      return this.#offline();
    }
    if (this.#signal.aborted) return;
    this.#failures = 0;
    banner.hidden = true;
    if (wasOffline) this.#refusedUntil = 0; // the stream failed because the whole service did not answer
    if ((wasOffline || this.#misses) && !(await this.#catchUp())) return;
    if (this.#rests || this.#source) return;
    if (Date.now() >= this.#refusedUntil) this.#open();
    else this.#poll();
  }

  async #poll() {
    show("polling");
    if (!(await this.#catchUp())) return;
    this.#after(POLL, () => (Date.now() >= this.#refusedUntil ? this.#open() : this.#poll()));
  }

  /** Refresh the page. True if it is up to date. Without an answer, start to look for the service. */
  async #catchUp() {
    try {
      await this.#refresh();
    } catch (problem) {
      if (!problem.offline || this.#signal.aborted) return true; // the service answers with a problem, which the page shows
      this.#stop();
      this.#after(this.#misses && Math.min(LONGEST_WAIT, RECONNECT * 2 ** this.#misses), () => this.#look());
      this.#misses += 1;
      return false;
    }
    this.#misses = 0;
    return true;
  }

  #offline() {
    if (this.#rests) return;
    const wait = Math.min(LONGEST_WAIT, 1000 * 2 ** this.#failures);
    this.#failures += 1;
    banner.hidden = false;
    show("offline");
    this.#count(Math.round(wait / 1000));
  }

  #count(seconds) {
    if (seconds <= 0) {
      countdown.textContent = "Trying again…";
      this.#look();
      return;
    }
    countdown.textContent = `Trying again in ${seconds} s.`;
    this.#after(1000, () => this.#count(seconds - 1));
  }
}

/** Show no state: the page has no Follower. */
export function showNothing() {
  pill.hidden = true;
  banner.hidden = true;
}

function show(state) {
  pill.hidden = false;
  pill.dataset.state = state;
  [words.textContent, pill.title] = WORDS[state];
}
