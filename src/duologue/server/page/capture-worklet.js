// Runs in the audio thread: resamples the microphone to 24 kHz and posts chunks of 20 ms as 16-bit PCM.

const RATE = 24000;
const CHUNK = 480;
const ZERO_CROSSINGS = 16; // of the sinc on each side: about 80 dB down from 13 kHz on

/**
 * A streamed windowed-sinc resampler from `from` Hz to `RATE`.
 *
 * The ratio of two whole rates repeats after a few output samples, so there is one fixed filter for each of
 * these phases (1 for 48 kHz, 80 for 44.1 kHz).
 */
class Resampler {
  constructor(from) {
    const common = gcd(from, RATE);
    this.up = RATE / common; // output sample n lies at input position n * down / up
    this.down = from / common;
    const cutoff = 0.92 * Math.min(1, RATE / from); // of the input's Nyquist frequency
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.filters = Array.from({ length: this.up }, (_, phase) => filter(this.half, phase / this.up, cutoff));
    this.past = new Float32Array(2 * this.half); // input samples from `start` on
    this.start = -2 * this.half;
    this.next = 0; // index of the next output sample
  }

  push(input, emit) {
    const samples = new Float32Array(this.past.length + input.length);
    samples.set(this.past);
    samples.set(input, this.past.length);
    const end = this.start + samples.length;
    for (; ; this.next += 1) {
      const whole = Math.floor((this.next * this.down) / this.up);
      if (whole + this.half >= end) break;
      const taps = this.filters[(this.next * this.down) % this.up];
      const first = whole - this.half + 1 - this.start;
      let sum = 0;
      for (let k = 0; k < taps.length; k += 1) sum += taps[k] * samples[first + k];
      emit(sum);
    }
    const keep = Math.floor((this.next * this.down) / this.up) - this.half + 1;
    this.past = samples.slice(keep - this.start);
    this.start = keep;
  }
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/** Taps for the input samples -half + 1 … half around a point `fraction` of a sample after sample 0. */
function filter(half, fraction, cutoff) {
  const taps = Float64Array.from({ length: 2 * half }, (_, k) => {
    const x = k - half + 1 - fraction;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
    return sinc * (0.42 + 0.5 * Math.cos((Math.PI * x) / half) + 0.08 * Math.cos((2 * Math.PI * x) / half));
  });
  const sum = taps.reduce((a, b) => a + b);
  return taps.map((tap) => tap / sum);
}

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #chunk = new Int16Array(CHUNK);
  #filled = 0;
  #peak = 0;

  process([[channel]]) {
    if (channel) this.#resampler.push(channel, (sample) => this.#add(sample));
    return true;
  }

  #add(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.#peak = Math.max(this.#peak, Math.abs(clipped));
    this.#chunk[this.#filled] = Math.round(clipped * 32767);
    this.#filled += 1;
    if (this.#filled < CHUNK) return;
    this.port.postMessage({ pcm: this.#chunk, peak: this.#peak, time: currentTime }, [this.#chunk.buffer]);
    this.#chunk = new Int16Array(CHUNK);
    this.#filled = 0;
    this.#peak = 0;
  }
}

registerProcessor("capture", Capture);
