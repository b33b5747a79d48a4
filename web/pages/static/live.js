// Keeps a page up to date: by an event stream if there is one, else by a request every two seconds.
// The stream is closed while the page is hidden, because a browser opens only six connections to one host.

import { get, on } from "./elements.js";

const NAMES = ["job", "track", "loop"].flatMap((entity) => ["created", "updated", "deleted"].map((change) => `${entity}.${change}`)).concat("queue.updated").join(" ");
const POLL = 2_000; // milliseconds, as in the next constants
const RECONNECT = 300;
const LONGEST_WAIT = 30_000;
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
  #signal;
  #source = null;
  #since = null;
  #timer;
  #failures = 0;
  #refusedUntil = 0;

  constructor(url, { changed, refresh, signal }) {
    [this.#url, this.#changed, this.#refresh, this.#signal] = [url, changed, refresh, signal];
  }

  start() {
    const signal = this.#signal;
    on(document, "visibilitychange", () => (document.hidden ? this.#stop() : this.#resume()), signal);
    on(window, "pagehide", () => this.#stop(), signal);
    on(window, "pageshow", (event) => event.persisted && this.#resume(), signal);
    on(window, "online", () => this.lookNow(), signal);
    on(get("offline-now"), "click", () => this.lookNow(), signal);
    on(signal, "abort", () => this.#stop());
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
    clearTimeout(this.#timer);
  }

  #after(milliseconds, act) {
    clearTimeout(this.#timer);
    if (!this.#signal.aborted) this.#timer = setTimeout(act, milliseconds);
  }

  #open() {
    let opened = false;
    const source = (this.#source = new EventSource(this.#since === null ? this.#url : `${this.#url}?since=${this.#since}`));
    source.onopen = () => {
      opened = true;
      show("live");
      if (this.#since === null) this.#catchUp();
    };
    source.onerror = () => {
      this.#stop();
      if (!opened) this.#refusedUntil = Date.now() + LONGEST_WAIT;
      this.#after(opened ? RECONNECT : 0, () => this.#look());
    };
    on(source, NAMES, (message) => this.#take(message));
    on(source, "resync", (message) => {
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

  /** Look now whether the service answers. Call this after a request that got no answer. */
  lookNow() {
    if (this.#source || this.#rests) return;
    this.#stop();
    this.#look();
  }

  /** Refresh the page. If the service answers, open the stream, or look again soon if there is none just now. */
  async #look() {
    if (!(await this.#catchUp()) || this.#rests || this.#source) return;
    if (Date.now() >= this.#refusedUntil) return this.#open();
    show("polling");
    this.#after(POLL, () => this.#look());
  }

  /** Refresh the page. False if the service does not answer. The page shows other problems. */
  async #catchUp() {
    const problem = await this.#refresh().then(() => null, (why) => why);
    if (this.#signal.aborted) return false;
    if (problem?.offline) {
      this.#offline();
      return false;
    }
    if (this.#failures) this.#refusedUntil = 0; // the stream failed because the whole service did not answer
    this.#failures = 0;
    banner.hidden = true;
    return true;
  }

  #offline() {
    if (document.hidden) return;
    this.#stop();
    const seconds = Math.min(LONGEST_WAIT / 1000, 2 ** this.#failures);
    this.#failures += 1;
    banner.hidden = false;
    show("offline");
    this.#count(seconds);
  }

  #count(seconds) {
    countdown.textContent = seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again…";
    if (seconds > 0) this.#after(1000, () => this.#count(seconds - 1));
    else this.#look();
  }
}

/** Show no state: the page has no Follower. */
export function showNothing() {
  pill.hidden = banner.hidden = true;
}

function show(state) {
  pill.hidden = false;
  pill.dataset.state = state;
  [words.textContent, pill.title] = WORDS[state];
}
