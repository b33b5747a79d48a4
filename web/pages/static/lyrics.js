// Lyrics that follow the sound: marks the line that is sung, and plays from a line.

import { calm, get, isPlain, on } from "./elements.js";
import { Queue, soundOf } from "./queue.js";

const LEFT_ALONE = 5_000; // milliseconds after the reader has scrolled the lyrics

/** Start to follow the player, until the signal ends it. */
export function beginLyrics({ signal, player }) {
  const main = get("main");
  const heard = () => player.current?.key.startsWith("track:") && main.querySelector(`[data-sound="${player.current.key}"]`);
  let lines = []; // of the list in the page; the list may be replaced
  let sung = null;
  let scrolled = -Infinity; // when the reader has scrolled it

  const follow = () => {
    if (!lines[0]?.isConnected) lines = [...main.querySelectorAll("[data-lyrics] > [data-time]")];
    if (!lines.length) return;
    const { time } = player;
    const line = heard() ? (lines.findLast((line) => Number(line.dataset.time) <= time) ?? null) : null;
    if (line === sung) return;
    if (sung) sung.ariaCurrent = null;
    if (line) line.ariaCurrent = "true";
    sung = line;
    if (line && performance.now() - scrolled > LEFT_ALONE) center(line);
  };
  const playFrom = (event) => {
    const line = event.target.closest("[data-lyrics] a")?.closest("[data-time]");
    if (!line || !isPlain(event)) return;
    event.preventDefault();
    scrolled = -Infinity;
    const at = Number(line.dataset.time);
    const element = main.querySelector('[data-sound^="track:"]');
    if (heard()) {
      player.seek(at);
      if (player.paused) player.toggle();
    } else if (element) player.play(soundOf(element), Queue.of(element), at);
  };
  on(player, "time change", follow, signal);
  for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    main.addEventListener(name, ({ target }) => target.closest?.(".lyrics-box") && (scrolled = performance.now()), { signal, passive: true });
  }
  on(main, "click", playFrom, signal);
  follow();
}

function center(line) {
  const box = line.closest(".lyrics-box");
  const top = line.offsetTop - (box.clientHeight - line.offsetHeight) / 2;
  box.scrollTo({ top, behavior: calm.matches ? "auto" : "smooth" });
}
