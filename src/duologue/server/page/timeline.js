// Both waveforms on one time axis that scrolls past "now" at the right edge, with marks and the floor's state.

import { textOf } from "./texts.js";

const SCALE = 50; // pixels per second
const KEPT = 30; // seconds of history, more than the widest page shows
const AXIS = 16; // pixels at the bottom for the time of day of the conversation
const FLOOR = 6; // pixels between the lanes for the floor's state
const LABELS = 16; // pixels below each lane for what its marks say

export class Timeline {
  /** Levels as they were heard and said: `[{at: ms of performance.now(), peak: 0..1}]`, oldest first. */
  lanes = { heard: [], said: [] };
  marks = []; // {at, lane, kind, parts, until?}: `kind` is the key of a text; with `until` (ms) it has a length
  floor = []; // {at, state}: from `at` until the next
  #begin = performance.now();
  #frame = 0;

  constructor(canvas) {
    this.canvas = canvas;
    // A moving picture is not for everyone; then it jumps twice a second instead.
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
  }

  start() {
    this.lanes = { heard: [], said: [] };
    this.marks = [];
    this.floor = [];
    this.#begin = performance.now();
    this.stop();
    let drawn = -Infinity;
    const tick = (now) => {
      if (!this.calm.matches || now - drawn > 500) {
        this.draw(now);
        drawn = now;
      }
      this.#frame = requestAnimationFrame(tick);
    };
    tick(performance.now());
  }

  stop() {
    cancelAnimationFrame(this.#frame);
  }

  level(lane, at, peak) {
    this.lanes[lane].push({ at, peak });
    forget(this.lanes[lane], at);
  }

  /** Marks a moment of a lane; `at` defaults to now. What it gives may be changed as more becomes known. */
  mark(lane, kind, { at = performance.now(), parts = [], until } = {}) {
    const mark = { at, lane, kind, parts, until };
    this.marks.push(mark);
    forget(this.marks, performance.now());
    return mark;
  }

  setFloor(state) {
    this.floor.push({ at: performance.now(), state });
    forget(this.floor, performance.now());
  }

  draw(now) {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const density = devicePixelRatio;
    if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const x = (at) => width - ((now - at) / 1000) * SCALE;
    const lane = (height - AXIS - FLOOR) / 2 - LABELS;
    const top = { heard: 0, said: lane + LABELS + FLOOR };
    pen.font = `11px ${style.fontFamily}`;

    this.#drawAxis(pen, x, now, width, height, colour);
    this.#drawFloor(pen, x, now, lane + LABELS, colour);
    this.#drawSpans(pen, x, now, top, lane, colour);
    for (const name of ["heard", "said"]) {
      pen.fillStyle = colour(name);
      for (const { at, peak } of this.lanes[name]) {
        const half = Math.max(0.5, Math.sqrt(peak) * (lane / 2 - 3)); // the root shows quiet speech, too
        pen.fillRect(x(at), top[name] + lane / 2 - half, (SCALE * 0.0215) + 0.3, 2 * half);
      }
    }
    this.#drawMarks(pen, x, top, lane, colour);
    pen.fillStyle = colour("quiet");
    pen.strokeStyle = colour("sheet"); // a halo, so that the names can be read over a waveform
    pen.lineWidth = 3;
    for (const [name, side] of [["heard", "you"], ["said", "duologue"]]) {
      pen.strokeText(textOf(side), 6, top[name] + 14);
      pen.fillText(textOf(side), 6, top[name] + 14);
    }
  }

  #drawAxis(pen, x, now, width, height, colour) {
    const first = Math.max(0, Math.ceil((now - this.#begin) / 1000 - width / SCALE));
    for (let second = first; second <= (now - this.#begin) / 1000; second += 1) {
      const at = x(this.#begin + second * 1000);
      pen.fillStyle = colour("rule");
      if (second % 5 !== 0) {
        pen.fillRect(at, height - AXIS, 1, 3);
        continue;
      }
      pen.fillRect(at, 0, 1, height - AXIS + 5);
      pen.fillStyle = colour("quiet");
      pen.fillText(`${Math.floor(second / 60)}:${String(second % 60).padStart(2, "0")}`, at + 4, height - 3);
    }
  }

  #drawFloor(pen, x, now, above, colour) {
    this.floor.forEach(({ at, state }, i) => {
      const end = this.floor[i + 1]?.at ?? now;
      pen.fillStyle = colour(`floor-${state}`) || colour("rule");
      pen.fillRect(x(at), above + 1, x(end) - x(at), FLOOR - 2);
    });
  }

  #drawSpans(pen, x, now, top, lane, colour) {
    pen.fillStyle = colour("mark");
    pen.globalAlpha = 0.16;
    for (const { at, until, lane: name } of this.marks) {
      if (until !== undefined) pen.fillRect(x(at), top[name], x(Math.min(until, now)) - x(at), lane);
    }
    pen.globalAlpha = 1;
  }

  /** Labels stand below their lane, each beside its mark or, where marks are close, right of the label before. */
  #drawMarks(pen, x, top, lane, colour) {
    const ends = { heard: -Infinity, said: -Infinity }; // where the last label ends
    pen.fillStyle = colour("mark");
    for (const { at, lane: name, kind, parts } of [...this.marks].sort((a, b) => a.at - b.at)) {
      const label = textOf(kind, ...parts);
      const left = Math.max(x(at) + 4, ends[name] + 10);
      ends[name] = left + pen.measureText(label).width;
      pen.fillRect(x(at), top[name], 1.5, lane);
      pen.fillText(label, left, top[name] + lane + LABELS - 4);
    }
  }
}

/** Drops what is older than the window, but never the last entry: a floor state lasts until the next. */
function forget(entries, now) {
  let old = 0;
  while (old < entries.length - 1 && entries[old].at < now - KEPT * 1000) old += 1;
  entries.splice(0, old);
}
