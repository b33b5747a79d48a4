// Shows times in words, and the exact time on hover; updates them regularly.

import { on, put } from "./elements.js";

const EVERY = 10_000; // milliseconds
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Update all times in an element. */
export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    put(time, "textContent", ago((Date.now() - moment) / 1000));
    time.title = exact.format(moment);
  }
}

/** Update all times of the page at an interval. */
export function keepTimes() {
  const tell = () => document.hidden || tellTimes();
  setInterval(tell, EVERY);
  on(document, "visibilitychange", tell);
}

/** Seconds as 0:30, 4:05 or 1:02:03. */
export function clock(seconds) {
  const two = (number) => String(Math.floor(number) % 60).padStart(2, "0");
  const rest = `${two(seconds / 60)}:${two(seconds)}`;
  return seconds < 3600 ? rest.replace(/^0/, "") : `${Math.floor(seconds / 3600)}:${rest}`;
}

function ago(seconds) {
  if (seconds < 10) return "now";
  const [unit, length] = UNITS.find(([, length]) => seconds >= length);
  return words.format(-Math.floor(seconds / length), unit);
}
