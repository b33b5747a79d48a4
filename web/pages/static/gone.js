// Sounds that are deleted, or that cannot be read: what follows plays, or the rest of a comparison, and a sentence says why.
// It is loaded with the first sound.

import { on } from "./elements.js";
import { player } from "./player.js";

const MOST_SKIPS = 10; // one after another
const EVERY = 10_000; // milliseconds

let skips = 0;
let asked = 0; // when
let lost = {}; // the key of the last sound that was deleted, and the sentence about it

/** Ask whether the sounds are still there. Only their own page is sure to get the event of a deletion. */
export async function askForSounds() {
  const { current, compared } = player;
  asked = Date.now();
  for (const { key, src } of compared.length ? compared : [current].filter(Boolean)) {
    const answer = await fetch(src, { method: "HEAD" }).catch(() => null);
    if (answer?.status === 404) drop(key);
  }
}

function isHere() {
  return player.current === null || document.querySelector(`main [data-sound="${CSS.escape(player.current.key)}"]`) !== null;
}

function drop(key) {
  const { current, compared, paused, queue } = player;
  const sound = [current, ...compared].find((one) => one?.key === key);
  if (!sound) return queue.remove({ key });
  const why = `${sound.title} has been deleted.`;
  lost = { key, why };
  if (compared.length) return compareRest(key, why);
  return paused ? player.stumble(why) : skip(why);
}

/** Call this when a deleted track is there again. */
function restore(key) {
  if (key === lost.key && player.trouble === lost.why) player.say("");
}

/** Go on to the next sound, and say why. */
export async function skip(why) {
  const { current, queue } = player;
  const sound = (skips += 1) > MOST_SKIPS ? null : await queue.after(current).catch(() => null);
  if (current.key !== player.current?.key) return;
  queue.remove(current);
  if (sound) player.play(sound, queue);
  if (sound) player.say(why);
  else player.stumble(why);
  if (!sound && !player.paused) player.toggle();
}

async function compareRest(key, why) {
  const { compared, paused, time, queue } = player;
  const rest = compared.filter((sound) => sound.key !== key);
  queue.remove({ key });
  if (rest.length > 1) await player.compare(rest, paused);
  else await player.load(rest[0], queue, time);
  if (rest.length === 1 && !paused) player.toggle();
  player.say(why);
}

on(document, "record", ({ detail: { entity, entity_id: id, change } }) => {
  if (change === "deleted") drop(`${entity}:${id}`);
  if (change === "created") restore(`${entity}:${id}`);
});
on(player, "state", () => player.state === "playing" && (skips = 0));
on(player, "time", () => Date.now() - asked > EVERY && !isHere() && askForSounds());
