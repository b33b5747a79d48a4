// Chooses the takes of a job that are compared: the number of a chosen take becomes a letter.

import { get, on } from "./elements.js";
import { load } from "./http.js";
import { notify } from "./merge.js";
import { player } from "./player.js";
import { Queue, soundOf } from "./queue.js";

let chosen = []; // the keys of their sounds, in the order of the letters
let turn = Promise.resolve(); // the last choice: the next one begins when it has ended

/** Start to listen, until the signal ends the page. */
export function chooseTakes(signal) {
  const list = get("takes");
  on(list, "click", ({ target }) => choose(target.closest("[data-compare]")), signal);
  on(document, "compare", () => choose(numberHere()), signal);
  on(player, "change", follow, signal);
  chosen = [];
  follow();
}

/** Show the numbers of the takes as buttons, with the letters of those that are chosen. */
export function markTakes() {
  for (const number of document.querySelectorAll("[data-compare]")) {
    const place = chosen.indexOf(keyOf(number));
    const isChosen = place >= 0;
    const letter = isChosen ? String.fromCharCode(65 + place) : "";
    Object.assign(number, { role: "button", tabIndex: 0, title: "Compare", ariaPressed: isChosen });
    number.ariaLabel = `${letter && `${letter}: `}Compare ${number.dataset.compare}`;
    if (letter) number.dataset.letter = letter;
    else delete number.dataset.letter;
  }
}

function follow() {
  const compared = player.compared.map(({ key }) => key).filter(lineOf);
  if (compared.length || chosen.length > 1) chosen = compared;
  markTakes();
}

function choose(number) {
  if (number) turn = turn.then(() => toggle(number)).catch(({ message }) => notify(message));
}

async function toggle(number) {
  const { whyNot } = await load("compare");
  const key = keyOf(number);
  const keys = chosen.includes(key) ? chosen.filter((other) => other !== key) : [...chosen, key];
  const sounds = keys.map(lineOf).filter(Boolean).map(soundOf);
  const reason = whyNot(sounds);
  if (reason) return notify(reason);
  chosen = keys;
  if (sounds.length > 1) player.compare(sounds).catch(({ message }) => notify(message));
  else if (player.compared.length) playAlone(lineOf(keys[0]));
  else if (keys.length) notify("Choose another take to compare it with.");
  markTakes();
}

async function playAlone(line) {
  const { paused, time } = player;
  await player.load(soundOf(line), Queue.of(line), time);
  if (!paused) player.toggle();
}

/** The number of the take with the focus, or else of the one that plays. */
function numberHere() {
  const line = document.activeElement.closest(".take-row") ?? (player.current && lineOf(player.current.key));
  return line?.querySelector("[data-compare]");
}

function lineOf(key) {
  return document.querySelector(`#takes [data-sound="${CSS.escape(key)}"]`);
}

function keyOf(number) {
  return number.closest("[data-sound]").dataset.sound;
}
