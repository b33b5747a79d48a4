// Times in words, exact on hover; brought up to date as they pass.

const EVERY = 10_000; // milliseconds
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Bring every time in an element up to date. */
export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    const text = ago((Date.now() - moment) / 1000);
    if (time.textContent !== text) time.textContent = text;
    time.title = exact.format(moment);
  }
}

/** Keep them so. */
export function keepTimes() {
  tellTimes();
  setInterval(() => document.hidden || tellTimes(), EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || tellTimes());
}

function ago(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return words.format(-Math.floor(seconds / length), unit);
  }
  return seconds >= 10 ? words.format(-Math.floor(seconds), "second") : "now";
}
