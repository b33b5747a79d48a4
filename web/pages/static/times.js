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

/** Seconds as 0:30, 4:05 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, "0")];
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function ago(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return words.format(-Math.floor(seconds / length), unit);
  }
  return seconds >= 10 ? words.format(-Math.floor(seconds), "second") : "now";
}
