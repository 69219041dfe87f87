// Both waveforms on one time axis that scrolls past "now" at the right edge, with marks and the floor's state.

const SCALE = 50; // pixels per second
const KEPT = 30; // seconds of history, more than the widest page shows
const AXIS = 16; // pixels at the bottom for the time of day of the conversation
const FLOOR = 6; // pixels between the lanes for the floor's state

export class Timeline {
  /** Levels as they were heard and said: `[{at: ms of performance.now(), peak: 0..1}]`, oldest first. */
  lanes = { heard: [], said: [] };
  marks = []; // {at, lane, label}
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

  mark(lane, label) {
    this.marks.push({ at: performance.now(), lane, label });
    forget(this.marks, performance.now());
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
    const lane = (height - AXIS - FLOOR) / 2;
    const middle = { heard: lane / 2, said: lane + FLOOR + lane / 2 };
    pen.font = `11px ${style.fontFamily}`;

    this.#drawAxis(pen, x, now, width, height, colour);
    this.#drawFloor(pen, x, now, lane, colour);
    for (const name of ["heard", "said"]) {
      pen.fillStyle = colour(name);
      for (const { at, peak } of this.lanes[name]) {
        const half = Math.max(0.5, Math.sqrt(peak) * (lane / 2 - 3)); // the root shows quiet speech, too
        pen.fillRect(x(at), middle[name] - half, (SCALE * 0.0215) + 0.3, 2 * half);
      }
    }
    this.#drawMarks(pen, x, lane, colour);
    pen.fillStyle = colour("quiet");
    pen.fillText("you", 6, 14);
    pen.fillText("duologue", 6, lane + FLOOR + 14);
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

  #drawFloor(pen, x, now, lane, colour) {
    this.floor.forEach(({ at, state }, i) => {
      const end = this.floor[i + 1]?.at ?? now;
      pen.fillStyle = colour(`floor-${state}`) || colour("rule");
      pen.fillRect(x(at), lane + 1, x(end) - x(at), FLOOR - 2);
    });
  }

  #drawMarks(pen, x, lane, colour) {
    const ends = { heard: [], said: [] }; // where the last label in each row of a lane ends
    pen.fillStyle = colour("mark");
    pen.strokeStyle = colour("sheet"); // a halo, so that labels can be read over a waveform
    pen.lineWidth = 3;
    for (const { at, lane: name, label } of this.marks) {
      const left = x(at);
      const bottom = (name === "heard" ? 0 : lane + FLOOR) + lane;
      const free = ends[name].findIndex((end) => end < left);
      const row = free === -1 ? ends[name].length : free;
      ends[name][row] = left + 8 + pen.measureText(label).width;
      pen.fillRect(left, bottom - lane, 1.5, lane);
      pen.strokeText(label, left + 4, bottom - 4 - 12 * row);
      pen.fillText(label, left + 4, bottom - 4 - 12 * row);
    }
  }
}

/** Drops what is older than the window, but never the last entry: a floor state lasts until the next. */
function forget(entries, now) {
  let old = 0;
  while (old < entries.length - 1 && entries[old].at < now - KEPT * 1000) old += 1;
  entries.splice(0, old);
}
