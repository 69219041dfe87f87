// How long the person waited for each answer: a bar each, and the median.

import { label } from "./texts.js";

const SHOWN = 30; // bars
const STEP = 8; // pixels from bar to bar
const HEIGHT = 22; // pixels
const FULL = 1000; // ms that fill the height, unless an answer took longer

const SVG = "http://www.w3.org/2000/svg";

export class Latency {
  #history = []; // ms, oldest first

  /** `element` holds an <svg> and a <span>. */
  constructor(element) {
    this.element = element;
    [this.picture, this.words] = element.children;
  }

  clear() {
    this.#history = [];
    this.element.hidden = true;
  }

  add(ms) {
    this.#history.push(ms);
    this.element.hidden = false;
    label(this.words, "median", Math.round(median(this.#history)), this.#history.length);
    this.#draw();
  }

  #draw() {
    const shown = this.#history.slice(-SHOWN);
    const full = Math.max(FULL, ...shown);
    const y = (ms) => HEIGHT - Math.max(2, (ms / full) * HEIGHT);
    const width = shown.length * STEP;
    attributes(this.picture, { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT });
    const bars = shown.map((ms, i) => {
      const bar = document.createElementNS(SVG, "rect");
      attributes(bar, { x: i * STEP, y: y(ms), width: STEP - 3, height: HEIGHT - y(ms), rx: 1 });
      const told = document.createElementNS(SVG, "title");
      told.textContent = `${Math.round(ms)} ms`;
      bar.append(told);
      return bar;
    });
    const line = document.createElementNS(SVG, "line");
    const middle = y(median(this.#history));
    attributes(line, { x1: 0, x2: width, y1: middle, y2: middle });
    this.picture.replaceChildren(...bars, line);
  }
}

function attributes(element, values) {
  for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
