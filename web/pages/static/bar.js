// The bar at the bottom: shows what the player does, and its buttons.

import { create, get, put, tell } from "./elements.js";
import { player } from "./player.js";
import { setStar } from "./stars.js";
import { clock } from "./times.js";
import { draw, show } from "./waves.js";

const part = (name) => get(`player-${name}`);
const bar = get("player");
const [wave, star, queue] = [part("wave"), part("star"), part("queue")];
const canPop = "popover" in queue;

/** Start to show the player. */
export function startBar() {
  for (const [name, act] of Object.entries({
    play: () => player.toggle(), next: () => player.next(), previous: () => player.previous(),
    repeat: () => player.repeat(), close: () => player.close(), help: () => part("keys").showModal(),
  })) part(name).addEventListener("click", act); // prettier-ignore
  part("volume").addEventListener("input", ({ target }) => (player.volume = Number(target.value)));
  if (!canPop) queue.hidden = part("list").hidden = true;
  queue.addEventListener("beforetoggle", ({ newState }) => newState === "open" && listQueue());
  part("sounds").addEventListener("click", playListed);
  part("choices").addEventListener("click", ({ target }) => target.value && player.choose(Number(target.value)));
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
  if (!current) return closeQueue();
  part("title").textContent = current.title;
  part("title").href = current.home || "/";
  part("sub").textContent = current.sub;
  part("volume").value = player.volume;
  draw(wave, current.wave);
  part("choices").hidden = !compared.length;
  part("choices").replaceChildren(...compared.map(choice));
  if (canPop && queue.matches(":popover-open")) listQueue();
  showStar(current);
  showState();
  showTime();
}

function showState() {
  const { paused, state, trouble } = player;
  const button = part("play");
  button.dataset.state = state;
  button.ariaLabel = paused ? "Play" : "Pause";
  part("repeat").ariaPressed = player.isRepeating;
  tell(part("trouble"), trouble);
}

function showTime() {
  const { time, duration } = player;
  show(wave, time, duration);
  put(part("time"), "textContent", clock(time));
  put(part("length"), "textContent", clock(duration));
}

function showStar({ key, title, starred }) {
  star.hidden = starred === null;
  if (!star.hidden) setStar(star, key.split(":")[1], starred, title);
}

function choice(sound, number) {
  const isHeard = sound.key === player.current.key;
  const letter = String.fromCharCode(65 + number);
  return create("button", { type: "button", value: number, ariaLabel: `${letter}: hear ${sound.sub || sound.title}`, ariaPressed: isHeard }, letter);
}

function listQueue() {
  part("sounds").replaceChildren(
    ...player.queue.sounds.map(({ key, title, sub }, number) => {
      const ariaCurrent = key === player.current.key ? "true" : null;
      return create("li", {}, create("button", { type: "button", value: number, dir: "auto", ariaCurrent }, title, create("small", {}, sub)));
    }),
  );
}

function playListed({ target }) {
  const sound = player.queue.sounds[target.closest("button")?.value];
  if (!sound) return;
  player.play(sound, player.queue);
  closeQueue();
}

function closeQueue() {
  if (canPop) queue.hidePopover();
}
