// Connects the buttons and waveforms of a page with the player, and marks those of the sound that plays.

import { get, isPlain, on, put } from "./elements.js";
import { player } from "./player.js";
import { Queue, soundOf } from "./queue.js";
import { clock } from "./times.js";

const STEP = 5; // seconds for one press of an arrow key; less in a short sound
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 3, PageDown: -3 };
const BUTTONS = "main [data-play]";
const WAVES = "main .wave[data-seek]";
const soundAt = (element) => element.closest("[data-sound]");

let playing = []; // the waveforms of the sound that plays

/** Start to connect the sounds of the pages, also those that are added later. */
export function connectSounds() {
  on(document, "click", click);
  on(document, "input", ({ target }) => target.matches(".wave > input") && seekTo(target.parentElement, target.value / target.max));
  on(document, "keydown", step);
  document.addEventListener("load", ({ target }) => drawImage(target), true);
  document.querySelectorAll(".wave img").forEach(drawImage);
  on(player, "change state", mark);
  on(player, "time", paint);
  new MutationObserver(mark).observe(get("main"), { subtree: true, childList: true });
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
  for (const element of document.querySelectorAll("[data-sound]")) putState(element);
  document.querySelectorAll(BUTTONS).forEach(markButton);
  for (const wave of document.querySelectorAll(WAVES)) {
    if (isCurrent(wave)) playing.push(wave);
    else show(wave, 0, Number(soundAt(wave).dataset.seconds));
  }
  paint();
}

function isCurrent(element) {
  return soundAt(element).dataset.sound === player.current?.key;
}

function markButton(button) {
  putState(button);
  put(button, "role", "button");
  const isPlaying = isCurrent(button) && !player.paused;
  const label = button.ariaLabel?.replace(/^(Play|Pause)\b/, isPlaying ? "Pause" : "Play");
  if (label) put(button, "ariaLabel", label);
}

function putState(element) {
  if (isCurrent(element)) put(element.dataset, "state", player.state);
  else delete element.dataset.state;
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
  const { target, clientX } = event;
  const button = isPlain(event) && target.closest(BUTTONS);
  const wave = !target.matches("input") && target.closest(WAVES);
  if (button) press(button);
  else if (wave) {
    const { left, width } = wave.getBoundingClientRect();
    seekTo(wave, (clientX - left) / width);
  } else return;
  event.preventDefault();
}

function press(button) {
  const element = soundAt(button);
  if (isCurrent(button)) player.toggle();
  else player.play(soundOf(element), Queue.of(element));
}

/** Keys press what has become a button, and arrow keys move a slider by seconds. */
function step(event) {
  const { target, key } = event;
  const presses = target.matches('main [role="button"]') && (key === " " || (key === "Enter" && !target.href));
  if (!presses && !(key in KEYS && target.matches(".wave > input"))) return;
  event.preventDefault();
  if (presses) return target.click();
  const seconds = Number(target.value) + KEYS[key] * Math.min(STEP, target.max / 20);
  seekTo(target.parentElement, Math.min(Math.max(0, seconds / target.max), 1));
}

/** Go to a part, from 0 to 1, of the sound of a waveform. Another sound is played from there on. */
function seekTo(wave, part) {
  const element = soundAt(wave); // the waveform of the bar is in none
  if (!element || isCurrent(element)) return player.seek(part * player.duration);
  const sound = soundOf(element);
  player.play(sound, Queue.of(element), part * sound.seconds);
}
