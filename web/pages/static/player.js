// A player with a button, a waveform to seek in, and the time. Without JavaScript, the browser shows its own player.

import { send } from "./http.js";

const ICONS = new URL("icons.svg", import.meta.url).pathname;
const SVG = "http://www.w3.org/2000/svg";
const STEP = 5; // seconds for one press of an arrow key
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class SoundPlayer extends HTMLElement {
  connectedCallback() {
    if (this.audio) return;
    this.audio = this.querySelector("audio");
    this.audio.controls = false;
    this.querySelector("img")?.remove();
    this.#build();
    this.#listen();
    this.#drawWave();
    this.#show();
  }

  get seconds() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : Number(this.dataset.seconds);
  }

  #build() {
    this.button = make("button", { type: "button", className: "play" });
    this.wave = make("div", { className: "wave" });
    this.seek = make("input", { type: "range", min: "0", step: "0.01", value: "0", ariaLabel: `Position in ${this.dataset.about}` });
    this.time = make("span", { className: "time", ariaHidden: "true" });
    this.trouble = make("p", { className: "form-error", role: "alert", hidden: true });
    this.button.append(icon("play"), icon("pause"));
    const track = make("div", { className: "seek" });
    track.append(this.wave, this.seek);
    this.append(this.button, track, this.time, this.trouble);
    this.dataset.state = "paused";
  }

  #listen() {
    const { audio, seek } = this;
    this.button.addEventListener("click", () => this.#toggle());
    seek.addEventListener("input", () => this.#go(Number(seek.value)));
    seek.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["timeupdate", "durationchange", "seeked", "ended"]) audio.addEventListener(name, () => this.#show());
    for (const [name, state] of [["playing", "playing"], ["waiting", "loading"], ["pause", "paused"], ["ended", "paused"]]) {
      audio.addEventListener(name, () => this.#become(state));
    }
    audio.addEventListener("error", () => this.#fail());
  }

  #toggle() {
    if (!this.audio.paused) return this.audio.pause();
    if (this.audio.error) this.audio.load();
    this.trouble.hidden = true;
    this.#become("loading");
    this.audio.play().catch(() => this.#become("paused")); // the "error" event has the reason
  }

  #become(state) {
    this.dataset.state = state;
    this.button.ariaLabel = `${state === "paused" ? "Play" : "Pause"} ${this.dataset.about}`;
    if (state === "playing" && !calm.matches) this.#glide();
  }

  /** Move the position smoothly while it plays: the event timeupdate comes only four times a second. */
  #glide() {
    if (this.dataset.state !== "playing" || !this.isConnected) return;
    this.#show();
    requestAnimationFrame(() => this.#glide());
  }

  #show() {
    const { audio, seek, seconds } = this;
    seek.max = String(seconds);
    seek.value = String(audio.currentTime);
    const text = `${clock(audio.currentTime)} of ${clock(seconds)}`;
    if (seek.ariaValueText !== text) seek.ariaValueText = text;
    this.time.textContent = audio.currentTime ? `${clock(audio.currentTime)} / ${clock(seconds)}` : clock(seconds);
    this.style.setProperty("--played", `${seconds ? (100 * audio.currentTime) / seconds : 0}%`);
    this.button.ariaLabel ||= `Play ${this.dataset.about}`;
  }

  #key(event) {
    const moves = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP, PageUp: 3 * STEP, PageDown: -3 * STEP };
    if (event.key === " ") this.#toggle();
    else if (event.key in moves) this.#go(this.audio.currentTime + moves[event.key] * Math.min(1, this.seconds / (20 * STEP)));
    else return;
    event.preventDefault();
  }

  /** Seek to a time; also before the sound is loaded. */
  #go(seconds) {
    const time = Math.min(Math.max(0, seconds), this.seconds);
    const { audio } = this;
    if (audio.readyState === 0) {
      audio.preload = "metadata";
      audio.addEventListener("loadedmetadata", () => (audio.currentTime = time), { once: true });
      audio.load();
    } else audio.currentTime = time;
    this.#show();
  }

  #drawWave() {
    const url = this.dataset.wave;
    if (!url) return;
    const image = new Image();
    image.addEventListener("load", () => {
      this.wave.style.maskImage = `url("${image.src}")`;
      this.classList.add("drawn");
    });
    image.src = url;
  }

  async #fail() {
    this.#become("paused");
    const why = await send(this.audio.src).then(
      () => "The browser cannot play it.",
      (problem) => problem.message,
    );
    this.trouble.textContent = `This sound cannot be played. ${why}`;
    this.trouble.hidden = false;
  }
}

function make(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function icon(name) {
  const [svg, use] = [document.createElementNS(SVG, "svg"), document.createElementNS(SVG, "use")];
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0")];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Define the element. Only one sound plays at a time. */
export function definePlayers() {
  customElements.define("sound-player", SoundPlayer);
  document.addEventListener(
    "play",
    (event) => {
      for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause();
    },
    true,
  );
}
