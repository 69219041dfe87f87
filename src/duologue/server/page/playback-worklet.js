// Runs in the audio thread: plays queued chunks back to back and counts what was played of each item.

const FADE = 120; // samples, 5 ms: sound that stops or starts faster clicks
const REPORT = 4; // quanta of 128 samples between two progress reports

class PlaybackProcessor extends AudioWorkletProcessor {
  #queue = []; // {item, part, samples, at}: `at` samples of it are played; no item: a fading tail
  #current = { item: null, played: 0 }; // the item last played and how much of it
  #paused = false;
  #gain = FADE; // in steps of 1 / FADE; at 0 the queue stands still
  #peak = 0;
  #sounding = null; // the item of what went out since the last report
  #out = new Int16Array(REPORT * 128);
  #filled = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.push) this.#queue.push({ ...data.push, at: 0 });
      else if (data.flush) this.port.postMessage({ cuts: this.#flush() });
      else this.#paused = data.pause;
    };
  }

  process(_inputs, [[out]]) {
    for (let i = 0; i < out.length; i += 1) {
      this.#gain = this.#paused ? Math.max(0, this.#gain - 1) : Math.min(FADE, this.#gain + 1);
      out[i] = this.#gain === 0 ? 0 : (this.#gain / FADE) * this.#next();
      this.#peak = Math.max(this.#peak, Math.abs(out[i]));
      this.#out[this.#filled] = Math.round(out[i] * 32767);
      this.#filled += 1;
    }
    if (this.#filled === this.#out.length) this.#report();
    return true;
  }

  #report() {
    const queued = this.#queue.reduce((sum, chunk) => sum + chunk.samples.length - chunk.at, 0);
    const pcm = this.#peak > 0 ? this.#out.slice() : null;
    this.port.postMessage({ peak: this.#peak, queued, time: currentTime, item: this.#sounding, pcm }, pcm ? [pcm.buffer] : []);
    this.#peak = 0;
    this.#sounding = null;
    this.#filled = 0;
  }

  #next() {
    const chunk = this.#queue[0];
    if (!chunk) return 0;
    if (this.#current.item !== chunk.item) this.#current = { item: chunk.item, played: 0 };
    const sample = chunk.samples[chunk.at];
    chunk.at += 1;
    this.#current.played += 1;
    this.#sounding = chunk.item ?? this.#sounding;
    if (chunk.at === chunk.samples.length) this.#queue.shift();
    return sample;
  }

  /** Leaves only a fading tail of what sounds now; tells of each item in the queue how much was played. */
  #flush() {
    const [sounding] = this.#queue;
    const begun = sounding?.item && this.#gain > 0 && this.#current.item === sounding.item;
    const tail = begun ? sounding.samples.slice(sounding.at, sounding.at + FADE) : new Float32Array(0);
    const cuts = new Map();
    for (const { item, part } of this.#queue) {
      if (item === null) continue;
      const played = item === this.#current.item ? this.#current.played + tail.length : 0;
      cuts.set(item, { item, part, played });
    }
    this.#queue = tail.length ? [{ item: null, samples: tail.map((x, i) => x * (1 - i / FADE)), at: 0 }] : [];
    this.#paused = false;
    return [...cuts.values()];
  }
}

registerProcessor("playback", PlaybackProcessor);
