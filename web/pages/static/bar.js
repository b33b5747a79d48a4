// The bar at the bottom: shows what the player does, and its buttons.

import { player } from "./player.js";
import { clock } from "./times.js";
import { draw, show } from "./waves.js";

const get = (name) => document.getElementById(`player-${name}`);
const bar = document.getElementById("player");
const [wave, star] = [get("wave"), get("star")];

/** Start to show the player. */
export function startBar() {
  for (const [name, act] of Object.entries({
    play: () => player.toggle(), next: () => player.next(), previous: () => player.previous(),
    repeat: () => player.repeat(), close: () => player.close(), help: () => get("keys").showModal(),
  })) get(name).addEventListener("click", act); // prettier-ignore
  get("volume").addEventListener("input", ({ target }) => (player.volume = Number(target.value)));
  get("queue").addEventListener("beforetoggle", ({ newState }) => newState === "open" && listQueue());
  get("sounds").addEventListener("click", playListed);
  get("choices").addEventListener("click", ({ target }) => target.value && player.choose(Number(target.value)));
  document.addEventListener("star", ({ detail: { id, starred } }) => {
    for (const sound of [player.current, ...player.queue.sounds]) if (sound?.key === `track:${id}`) sound.starred = starred;
  });
  player.addEventListener("change", change);
  player.addEventListener("state", showState);
  player.addEventListener("time", showTime);
}

function change() {
  const { current, compared } = player;
  bar.hidden = current === null;
  document.documentElement.classList.toggle("has-player", current !== null);
  if (!current) return get("queue").hidePopover();
  get("title").textContent = current.title;
  get("title").href = current.home || "/";
  get("sub").textContent = current.sub;
  get("volume").value = player.volume;
  draw(wave, current.wave);
  get("choices").hidden = !compared.length;
  get("choices").replaceChildren(...compared.map(choice));
  if (get("queue").matches(":popover-open")) listQueue();
  showStar(current);
  showState();
  showTime();
}

function showState() {
  const { paused, state, trouble } = player;
  const button = get("play");
  button.dataset.state = state;
  button.ariaLabel = paused ? "Play" : "Pause";
  get("repeat").ariaPressed = String(player.isRepeating);
  get("trouble").hidden = !trouble;
  if (get("trouble").textContent !== trouble) get("trouble").textContent = trouble;
}

function showTime() {
  const { time, duration } = player;
  show(wave, time, duration);
  for (const [name, seconds] of [["time", time], ["length", duration]]) {
    const text = clock(seconds);
    if (get(name).textContent !== text) get(name).textContent = text;
  }
}

function showStar({ key, title, starred }) {
  star.hidden = starred === null;
  if (starred === null) return;
  star.setAttribute("action", `/tracks/${key.split(":")[1]}/star`);
  star.elements.starred.value = String(!starred);
  const button = star.querySelector("button");
  button.ariaPressed = String(starred);
  button.ariaLabel = `Star ${title}`;
}

function choice(sound, number) {
  const isHeard = sound.key === player.current.key;
  const letter = String.fromCharCode(65 + number);
  const label = `${letter}: hear ${sound.sub || sound.title}`;
  return Object.assign(document.createElement("button"), { type: "button", value: number, textContent: letter, ariaLabel: label, ariaPressed: String(isHeard) });
}

function listQueue() {
  get("sounds").replaceChildren(
    ...player.queue.sounds.map((sound, number) => {
      const item = document.createElement("li");
      const button = Object.assign(document.createElement("button"), { type: "button", value: number, dir: "auto" });
      button.append(sound.title, Object.assign(document.createElement("small"), { textContent: sound.sub }));
      if (sound.key === player.current.key) button.ariaCurrent = "true";
      item.append(button);
      return item;
    }),
  );
}

function playListed({ target }) {
  const sound = player.queue.sounds[target.closest("button")?.value];
  if (!sound) return;
  player.play(sound, player.queue);
  get("queue").hidePopover();
}
