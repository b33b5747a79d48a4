// Shows times in words, and the exact time on hover; updates them regularly.

const EVERY = 10_000; // milliseconds
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Update all times in an element. */
export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    const text = ago((Date.now() - moment) / 1000);
    if (time.textContent !== text) time.textContent = text;
    time.title = exact.format(moment);
  }
}

/** Update all times of the page at an interval. */
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
