// The Media Session: the sound on the lock screen, and the keys of keyboards and headphones. It is loaded with the first sound.

import { on } from "./elements.js";
import { player } from "./player.js";

const STEP = 10; // seconds
const ART = new URL("mark.svg", import.meta.url).href;
const ACTS = {
  play: () => player.paused && player.toggle(),
  pause: () => player.paused || player.toggle(),
  stop: () => player.close(),
  nexttrack: () => player.next(),
  previoustrack: () => player.previous(),
  seekto: ({ seekTime }) => player.seek(seekTime),
  seekforward: ({ seekOffset }) => player.seek(player.time + (seekOffset ?? STEP)),
  seekbackward: ({ seekOffset }) => player.seek(player.time - (seekOffset ?? STEP)),
};
const session = navigator.mediaSession;

function tell() {
  const { current, paused, time, duration } = player;
  session.metadata = current && new MediaMetadata({ title: current.title, artist: current.sub, artwork: [{ src: ART, sizes: "any", type: "image/svg+xml" }] });
  session.playbackState = current ? (paused ? "paused" : "playing") : "none";
  if (duration) session.setPositionState({ duration, position: Math.min(time, duration) });
}

function handle(name) {
  try {
    session.setActionHandler(name, ACTS[name]);
  } catch {
    // This browser does not have the action.
  }
}

if (session) {
  Object.keys(ACTS).forEach(handle);
  on(player, "change state", tell);
  tell();
}
