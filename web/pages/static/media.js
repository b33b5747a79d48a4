// The Media Session: the sound on the lock screen, and the keys of keyboards and headphones.

import { player } from "./player.js";

const STEP = 10; // seconds
const ART = new URL("mark.svg", import.meta.url).href;

if (navigator.mediaSession) start(navigator.mediaSession);

/** Tell the browser what plays. */
function start(session) {
  const acts = {
    play: () => player.paused && player.toggle(),
    pause: () => player.paused || player.toggle(),
    stop: () => player.close(),
    nexttrack: () => player.next(),
    previoustrack: () => player.previous(),
    seekto: ({ seekTime }) => player.seek(seekTime),
    seekforward: ({ seekOffset }) => player.seek(player.time + (seekOffset ?? STEP)),
    seekbackward: ({ seekOffset }) => player.seek(player.time - (seekOffset ?? STEP)),
  };
  for (const [name, act] of Object.entries(acts)) handle(session, name, act);
  const tell = () => {
    session.metadata = metadataOf(player.current);
    session.playbackState = player.current ? (player.paused ? "paused" : "playing") : "none";
    const { time, duration } = player;
    if (duration) session.setPositionState({ duration, position: Math.min(time, duration) });
  };
  for (const name of ["change", "state"]) player.addEventListener(name, tell);
  tell();
}

function handle(session, name, act) {
  try {
    session.setActionHandler(name, act);
  } catch {
    // This browser does not have the action.
  }
}

function metadataOf(sound) {
  return sound && new MediaMetadata({ title: sound.title, artist: sound.sub, artwork: [{ src: ART, sizes: "any", type: "image/svg+xml" }] });
}
