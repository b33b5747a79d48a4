// Connects the buttons and waveforms of a page with the player, and marks those of the sound that plays.

import { isPlain, put } from "./elements.js";
import { player } from "./player.js";
import { Queue, soundOf } from "./queue.js";
import { clock } from "./times.js";

const STEP = 5; // seconds for one press of an arrow key; less in a short sound
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 3, PageDown: -3 };

let playing = []; // the waveforms of the sound that plays

/** Start to connect the sounds of the pages, also those that are added later. */
export function connectSounds() {
  document.addEventListener("click", click);
  document.addEventListener("input", ({ target }) => target.matches(".wave > input") && seekTo(target.parentElement, target.value / target.max));
  document.addEventListener("keydown", step);
  document.addEventListener("load", ({ target }) => drawImage(target), true);
  document.querySelectorAll(".wave img").forEach(drawImage);
  for (const name of ["change", "state"]) player.addEventListener(name, mark);
  player.addEventListener("time", paint);
  let frame = null;
  const markSoon = () => (frame ??= requestAnimationFrame(() => mark((frame = null))));
  new MutationObserver(markSoon).observe(document.getElementById("main"), { subtree: true, childList: true });
  mark();
}

/** Draw a waveform in the colours of the page, with the part that was played. */
export function draw(wave, src) {
  wave.style.setProperty("--drawn", src ? `url("${src}")` : "");
  wave.classList.toggle("drawn", Boolean(src));
}

function drawImage(image) {
  const wave = image.matches?.(".wave > img") && image.naturalWidth ? image.parentElement : null;
  if (wave && !wave.classList.contains("drawn")) draw(wave, image.src);
}

/** Mark the elements of the sound that plays, and take over what the page has now. */
function mark() {
  player.update();
  playing = [];
  const key = player.current?.key;
  for (const element of document.querySelectorAll("[data-sound]")) putState(element, element.dataset.sound === key ? player.state : null);
  for (const button of document.querySelectorAll("main [data-sound] [data-play], main [data-sound][data-play]")) markButton(button, key);
  for (const wave of document.querySelectorAll("[data-sound] .wave[data-seek]")) markWave(wave, key);
  paint();
}

function markButton(button, key) {
  const state = button.closest("[data-sound]").dataset.sound === key ? player.state : null;
  const verb = state === null || state === "paused" ? "Play" : "Pause";
  putState(button, state);
  put(button, "role", "button");
  const label = button.ariaLabel?.replace(/^(Play|Pause)\b/, verb);
  if (label && label !== button.ariaLabel) button.ariaLabel = label;
}

function markWave(wave, key) {
  const { sound, seconds } = wave.closest("[data-sound]").dataset;
  if (sound === key) playing.push(wave);
  else show(wave, 0, Number(seconds));
}

function putState(element, state) {
  if (state === null) delete element.dataset.state;
  else put(element.dataset, "state", state);
}

function paint() {
  for (const wave of playing) show(wave, player.time, player.duration);
}

/** Show the position in a waveform, and in its slider if it has one. */
export function show(wave, time, duration) {
  wave.style.setProperty("--played", duration && time ? `${((100 * time) / duration).toFixed(2)}%` : "");
  const slider = wave.querySelector("input");
  if (!slider) return;
  slider.max = duration;
  slider.value = time;
  put(slider, "ariaValueText", `${clock(time)} of ${clock(duration)}`);
}

function click(event) {
  const button = event.target.closest("main [data-sound] [data-play], main [data-sound][data-play]");
  const wave = event.target.closest("main [data-sound] .wave[data-seek]");
  if (button && isPlain(event)) {
    event.preventDefault();
    const element = button.closest("[data-sound]");
    if (element.dataset.sound === player.current?.key) player.toggle();
    else player.play(soundOf(element), Queue.of(element));
  } else if (wave && !event.target.matches("input")) {
    event.preventDefault();
    const { left, width } = wave.getBoundingClientRect();
    seekTo(wave, (event.clientX - left) / width);
  }
}

/** The space key presses a play button, and arrow keys move a slider by seconds. */
function step(event) {
  const { target, key } = event;
  if (key === " " && target.matches("main [data-play]")) {
    event.preventDefault();
    target.click();
  }
  if (!(key in KEYS) || !target.matches(".wave > input")) return;
  event.preventDefault();
  const seconds = Number(target.value) + KEYS[key] * Math.min(STEP, target.max / 20);
  seekTo(target.parentElement, Math.min(Math.max(0, seconds / target.max), 1));
}

/** Go to a part, from 0 to 1, of the sound of a waveform. Another sound is played from there on. */
function seekTo(wave, part) {
  const element = wave.closest("[data-sound]"); // the waveform of the bar is in none
  if (!element || element.dataset.sound === player.current?.key) return player.seek(part * player.duration);
  const sound = soundOf(element);
  player.play(sound, Queue.of(element), part * sound.seconds);
}
