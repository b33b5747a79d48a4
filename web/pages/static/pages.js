// The rows of a list, in pages. Pages near the window are read. Those far from it are empty: what follows the last page, and
// pages that were left, which keep their height. So a list of any length needs the memory of a few pages. The state is in the
// document, as the router keeps it.

import { calm, create, get, isUnderPointer, on } from "./elements.js";
import { readPage } from "./http.js";
import { isEdited, keepFocus } from "./merge.js";
import { tellTimes } from "./times.js";

const AROUND = 2_500; // pixels above and below the window where pages have rows
const FIRST = 5; // rows of an emptied page that are remembered
const LONGEST = 100; // rows of a page; with more, it is split
const ROW = 64; // pixels; the height of a page that was never read
const FOLD = 150; // milliseconds
const RETRY = 2_000;
const isGap = (page) => page.classList.contains("gap");
const isNew = (row) => !get(row.id);
const isOneOf = (ids) => (row) => ids.includes(row.id);

/** A page as the service sent it: its rows, and the address of the page that follows. */
export function partOf(fresh) {
  const rows = [...fresh.querySelectorAll("#results .row")].map((row) => document.importNode(row, true));
  return { fresh, rows, next: fresh.querySelector('#more [rel="next"]')?.href ?? null };
}

export class Pages {
  #near = new Set();
  #filling = new Set();
  #observer;

  /** Next: the address of what follows the pages in a list; null at its end. */
  constructor(list, next, signal) {
    this.list = list;
    this.#observer = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: `${AROUND}px 0px` });
    for (const page of list.children) this.#observer.observe(page);
    on(signal, "abort", () => (this.#observer.disconnect(), this.#near.clear()));
    if (next) this.#addEmpty(next);
    this.changed();
  }

  get first() {
    return this.list.firstElementChild;
  }

  /** The pages that have rows. */
  get loaded() {
    return [...this.list.children].filter((page) => !isGap(page));
  }

  /** Replace all pages by one. */
  start({ rows, next }, url) {
    for (const page of [...this.list.children]) this.#drop(page);
    this.#add(rows, url);
    if (next) this.#addEmpty(next);
    this.changed();
  }

  /**
   * Show these pages as they are now: a Map of page elements and parts. wait: new rows are not shown, and the others keep
   * their order. hold: rows that are gone stay, too, but pale. Returns the number of rows that wait.
   */
  update(parts, { wait, hold }) {
    const filled = [...parts].filter(([page]) => !isGap(page));
    const present = new Map(filled.flatMap(([, { rows }]) => rows).map((row) => [row.id, row]));
    const restore = keepFocus();
    this.#steady(() => {
      for (const row of present.values()) replace(get(row.id), row);
      for (const [page, part] of filled) for (const row of stale(page, part, present)) hold ? row.classList.add("gone") : fold(row);
      if (!wait) for (const [page, part] of filled) this.#arrange(page, part, present);
    });
    restore();
    this.changed();
    return [...parts].reduce((sum, [page, { rows }]) => sum + newRows(page, rows), 0);
  }

  /** Read the pages near the window that are empty. */
  fill() {
    return Promise.all([...this.#near].filter(isGap).map((page) => this.#fill(page)));
  }

  /** Tell the other scripts of the page that there are other rows. */
  changed() {
    tellTimes(this.list);
    for (const link of this.list.querySelectorAll("a[rel]")) link.parentElement.remove();
    const gap = this.loaded.at(-1)?.nextElementSibling;
    if (gap) gap.append(create("li", { hidden: true }, create("a", { rel: "next", href: gap.dataset.url }))); // here the player reads on
    document.dispatchEvent(new Event("rows"));
  }

  #add(rows, url, before = null) {
    const page = create("ol", {}, ...rows);
    page.dataset.url = url;
    this.list.insertBefore(page, before);
    this.#observer.observe(page);
    return page;
  }

  #addEmpty(url, before) {
    empty(this.#add([], url, before), ROW);
  }

  #drop(page) {
    this.#observer.unobserve(page);
    this.#near.delete(page);
    page.remove();
  }

  #moved(entries) {
    for (const { target, isIntersecting } of entries) this.#near[isIntersecting ? "add" : "delete"](target);
    const far = entries.map(({ target }) => target).filter((page) => page.isConnected && !this.#near.has(page) && mayBeEmptied(page));
    const heights = far.map((page) => page.offsetHeight);
    far.forEach((page, place) => empty(page, heights[place]));
    if (far.length) this.changed();
    this.fill();
  }

  async #fill(page) {
    if (this.#filling.has(page)) return;
    this.#filling.add(page);
    try {
      const part = partOf(await readPage(page.dataset.url));
      if (page.isConnected && isGap(page) && this.#near.has(page)) this.#show(page, part);
    } catch {
      setTimeout(() => this.fill(), RETRY);
    } finally {
      this.#filling.delete(page);
    }
  }

  /** Show the rows of a page that was empty. If rows are missing up to the following page or the end, read them, too. */
  #show(page, part) {
    const following = page.nextElementSibling;
    const end = following ? part.rows.findIndex(isOneOf(firstIds(following))) : -1;
    const rows = (end < 0 ? part.rows : part.rows.slice(0, end)).filter(isNew);
    this.#steady(() => {
      page.classList.remove("gap");
      page.style.height = "";
      page.replaceChildren(...rows);
      if (end < 0 && part.next && part.next !== following?.dataset.url) this.#addEmpty(part.next, following);
      if (!rows.length) this.#drop(page);
    });
    this.changed();
  }

  /** Put the rows of a page into their order, new ones too. */
  #arrange(page, { rows, next }, present) {
    const areNew = rows.length > 0 && next && page === this.first && !rows.some((row) => page.contains(get(row.id)));
    if (areNew && page.children.length) {
      this.#add(rows, page.dataset.url, page); // so many rows are new that the page comes after them
      page.dataset.url = next;
      return;
    }
    let place = page.firstElementChild;
    for (const row of rows) {
      while (place && !present.has(place.id)) place = place.nextElementSibling;
      const here = get(row.id) ?? row;
      if (here === place) place = place.nextElementSibling;
      else page.insertBefore(here, place);
    }
    if (page.children.length > LONGEST && next) this.#add([...page.children].slice(rows.length), next, page.nextElementSibling);
    if (next && page === this.list.lastElementChild && page.lastElementChild === get(rows.at(-1).id)) this.#addEmpty(next);
    if (!page.children.length && page !== this.first) this.#drop(page);
  }

  /** Change the list without moving the row under the pointer, else the one with the focus, else the first visible one. */
  #steady(act) {
    const rows = [...this.list.querySelectorAll(".row")];
    const topOf = (row) => row.getBoundingClientRect().top;
    const anchor =
      rows.find(isUnderPointer) ??
      document.activeElement.closest(".row") ??
      (scrollY > 0 && rows.find((row) => row.getBoundingClientRect().bottom > 0));
    const top = anchor && topOf(anchor);
    act();
    const here = anchor && get(anchor.id);
    if (here) scrollBy({ top: topOf(here) - top, behavior: "instant" });
  }
}

/** The number of rows of a part that are not in the list. Of an emptied page, only the first rows are known. */
function newRows(page, rows) {
  return isGap(page) ? Math.max(0, rows.findIndex(isOneOf(firstIds(page)))) : rows.filter(isNew).length;
}

function mayBeEmptied(page) {
  return !isGap(page) && !page.contains(document.activeElement) && !isUnderPointer(page);
}

function empty(page, height) {
  page.dataset.first = firstIds(page).join(" ");
  page.classList.add("gap");
  page.style.height = `${height}px`;
  page.replaceChildren();
}

function firstIds(page) {
  return isGap(page) ? page.dataset.first.split(" ") : [...page.children].slice(0, FIRST).map((row) => row.id);
}

/** The rows of a page that the list no longer has. If it goes on, the rows after the last one of the part stay. */
function stale(page, part, present) {
  const rows = [...page.children].filter((row) => row.id);
  const last = rows.findLastIndex((row) => present.has(row.id));
  return rows.filter((row, place) => !present.has(row.id) && (!part.next || place < last));
}

/** Replace a row that has changed, except while its name is being changed. Its waveform is not drawn again. */
function replace(here, row) {
  if (!here || here === row) return;
  here.classList.remove("gone");
  if (here.dataset.version === row.dataset.version || isEdited(here)) return;
  const [drawn, wave] = [here, row].map((each) => each.querySelector(".wave"));
  if (drawn && here.dataset.wave === row.dataset.wave) wave?.replaceWith(drawn);
  here.replaceWith(row);
}

function fold(row) {
  row.removeAttribute("id");
  if (calm.matches) return row.remove();
  row.style.overflow = "hidden";
  const shut = { height: 0, minHeight: 0, paddingBlock: 0, opacity: 0 };
  const change = row.animate([{ height: `${row.offsetHeight}px` }, shut], FOLD);
  change.finished.catch(() => {}).then(() => row.remove());
}
