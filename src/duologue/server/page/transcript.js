// The words of both sides, in the order in which they were begun.

import { describe, label, textOf } from "./texts.js";

const REMEMBERED = 20; // entries handed to a new session after the line was lost

/** `list` is an <ol>; `announcer` is a live region that gets each final text once, for screen readers. */
export class Transcript {
  #entries = new Map(); // item → {side, text, final, alone, at, picture, told, line, words, notes}
  #replies = new Map(); // response → item
  #latencies = new Map(); // response → ms, until the reply has an entry

  #following = true; // the reader is at the end; one who scrolled back is left in peace

  constructor(list, announcer) {
    this.list = list;
    this.announcer = announcer;
    let top = 0;
    list.addEventListener("scroll", () => {
      // Only a reader scrolls upwards. (The end may have moved on since this event was caused.)
      if (list.scrollHeight - list.scrollTop - list.clientHeight < 40) this.#following = true;
      else if (list.scrollTop < top) this.#following = false;
      top = list.scrollTop;
    });
    new ResizeObserver(() => this.#follow()).observe(list);
  }

  clear() {
    this.#entries.clear();
    this.#replies.clear();
    this.#latencies.clear();
    this.list.replaceChildren();
    this.announcer.textContent = "";
  }

  /** Keeps a place for an item; it stays unseen until it has words, a picture or a note. */
  open(item, side) {
    const known = this.#entries.get(item);
    if (known) return known;
    const line = document.createElement("li");
    const who = document.createElement("span");
    const words = document.createElement("p");
    const notes = document.createElement("span");
    line.className = `entry ${side}`;
    line.hidden = true;
    [who.className, words.className, notes.className] = ["who", "words", "notes"];
    label(who, side);
    line.append(who, words, notes);
    this.list.append(line);
    const told = new Map(); // what the notes say: key of a text → what is filled in
    const entry = { side, text: "", final: false, alone: false, at: null, picture: null, told, line, words, notes };
    this.#entries.set(item, entry);
    return entry;
  }

  /** An item goes by another name from now on. */
  rename(item, name) {
    const entry = this.#entries.get(item);
    this.#entries.delete(item);
    this.#entries.set(name, entry);
  }

  /** When the first sound of an item was heard or said, in ms of performance.now(); the first telling counts. */
  began(item, at) {
    const entry = this.#entries.get(item);
    if (entry) entry.at ??= at;
  }

  /** Words that may still change. */
  partial(item, side, text) {
    const entry = this.open(item, side);
    if (!entry.final) this.#show(entry, text, false);
  }

  /** More words of a reply. */
  append(item, response, delta) {
    const entry = this.open(item, "duologue");
    this.#show(entry, entry.text + delta, false);
    this.#replies.set(response, item);
    if (this.#latencies.has(response)) this.latency(response, this.#latencies.get(response));
  }

  /** Words that stand. */
  final(item, side, text) {
    const entry = this.open(item, side);
    if (entry.final && entry.text === text) return;
    this.#show(entry, text, true);
    if (text) this.announcer.textContent = `${textOf(side)}: ${text}`;
  }

  /** A picture that the person shows, as a data URL. */
  picture(item, url) {
    const entry = this.open(item, "you");
    const image = document.createElement("img");
    image.src = entry.picture = url;
    describe(image, "alt", "picture shown");
    image.addEventListener("load", () => this.#follow());
    entry.words.before(image);
    this.#show(entry, "", true);
    this.note(item, "ask about it");
    this.announcer.textContent = `${textOf("you")}: ${textOf("a picture")}`;
  }

  /** Heard, and rightly not answered. */
  leaveAlone(item, text) {
    const entry = this.open(item, "you");
    this.#show(entry, text || entry.text, true);
    if (!entry.text) label(entry.words, "wordless");
    entry.alone = true;
    entry.line.classList.add("alone");
    this.note(item, "heard, left alone");
  }

  /** A remark beside the words, once each: the key of a text, and what to fill in. */
  note(item, key, ...parts) {
    const entry = this.#entries.get(item);
    if (!entry || entry.told.has(key)) return;
    entry.told.set(key, parts);
    const note = document.createElement("span");
    label(note, key, ...parts);
    entry.notes.append(note);
    entry.line.hidden = false;
    this.#follow();
  }

  /** How long the person waited for a reply; may be told before or after its first words. */
  latency(response, ms) {
    const item = this.#replies.get(response);
    if (item === undefined) this.#latencies.set(response, ms);
    else {
      this.#latencies.delete(response);
      this.note(item, "answered after", Math.round(ms));
    }
  }

  /** Nothing more will come: what stands now is final. */
  settle() {
    for (const entry of this.#entries.values()) if (!entry.final) this.#show(entry, entry.text, true);
  }

  /** The last exchanges, oldest first, without what was left alone. */
  history() {
    return [...this.#entries]
      .filter(([, { text, picture, final, alone }]) => (text || picture) && final && !alone)
      .map(([id, { side, text, picture }]) => ({ id, side, text, picture }))
      .slice(-REMEMBERED);
  }

  /** Everything, to keep: times in seconds from `begin` (ms of performance.now()). */
  written(begin) {
    return [...this.#entries.values()]
      .filter(({ line }) => !line.hidden)
      .map(({ side, text, at, alone, picture, told }) => ({
        side,
        // What was typed has no sound, and so no place in it.
        at_s: at === null ? null : Math.round(at - begin) / 1000,
        text,
        interrupted: told.has("interrupted"),
        left_alone: alone,
        answered_after_ms: told.get("answered after")?.[0] ?? null,
        picture,
      }));
  }

  #show(entry, text, final) {
    Object.assign(entry, { text, final });
    delete entry.words.dataset.text; // it may have been labelled wordless
    entry.words.textContent = text;
    entry.line.classList.toggle("partial", !final);
    entry.line.hidden = text === "" && entry.notes.childElementCount === 0;
    this.#follow();
  }

  #follow() {
    if (this.#following) this.list.scrollTop = this.list.scrollHeight;
  }
}
