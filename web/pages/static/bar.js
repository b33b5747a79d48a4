// The bar at the bottom: shows what the player does, and its buttons. It is loaded with the first sound.

import { create, get, on, put, tell } from "./elements.js";
import { player } from "./player.js";
import { setStar } from "./stars.js";
import { clock } from "./times.js";
import { draw, show } from "./waves.js";

const part = (name) => get(`player-${name}`);
const [wave, star, queue] = [part("wave"), part("star"), part("queue")];
const ACTS = {
  play: () => player.toggle(),
  next: () => player.next(),
  previous: () => player.previous(),
  repeat: () => player.repeat(),
  close: () => player.close(),
  help: () => part("keys").showModal(),
};

function change() {
  const { current, compared } = player;
  get("player").hidden = current === null;
  if (!current) return queue.hidePopover();
  part("title").textContent = current.title;
  part("title").href = current.home || "/";
  part("sub").textContent = current.sub;
  part("volume").value = player.volume;
  draw(wave, current.wave);
  part("choices").hidden = !compared.length;
  part("choices").replaceChildren(...compared.map(choice));
  if (queue.matches(":popover-open")) listQueue();
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
  const ariaPressed = sound.key === player.current.key;
  const letter = String.fromCharCode(65 + number);
  return create("button", { type: "button", value: number, ariaLabel: `${letter}: hear ${sound.sub || sound.title}`, ariaPressed }, letter);
}

function listQueue() {
  const items = player.queue.sounds.map(({ key, title, sub }, number) => {
    const ariaCurrent = key === player.current.key ? "true" : null;
    return create("li", {}, create("button", { type: "button", value: number, dir: "auto", ariaCurrent }, title, create("small", {}, sub)));
  });
  part("sounds").replaceChildren(...items);
}

function playListed({ target }) {
  const sound = player.queue.sounds[target.closest("button")?.value];
  if (!sound) return;
  player.play(sound, player.queue);
  queue.hidePopover();
}

for (const [name, act] of Object.entries(ACTS)) on(part(name), "click", act);
on(part("volume"), "input", ({ target }) => (player.volume = Number(target.value)));
on(queue, "beforetoggle", ({ newState }) => newState === "open" && listQueue());
on(part("sounds"), "click", playListed);
on(part("choices"), "click", ({ target }) => target.value && player.choose(Number(target.value)));
on(player, "change", change);
on(player, "state", showState);
on(player, "time", showTime);
change();
