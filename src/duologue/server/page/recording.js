// Both sides' sound on one timeline, for whoever wants to keep it. It stays in this page and goes with it.

const RATE = 24000;
const KEPT = 30 * 60; // seconds: a stereo file of 173 MB
const TOLERANCE = 0.04 * RATE; // samples: a chunk follows the last one if it seems to be that near to it

export class Recording {
  date = new Date();
  #begin = performance.now();
  #lanes = { heard: [], said: [] }; // [{start, pcm}], `start` in samples from the beginning; gaps are silence

  /** Samples (Int16Array, 24 kHz) that were heard or said until `end`, in ms of performance.now(). */
  add(lane, end, pcm) {
    const chunks = this.#lanes[lane];
    const last = chunks.at(-1);
    const due = Math.round(((end - this.#begin) * RATE) / 1000) - pcm.length;
    const next = last ? last.start + last.pcm.length : 0;
    // The clocks of microphone, loudspeaker and page drift apart. A lane that runs ahead leaves a chunk out; one
    // that falls behind gets a gap.
    if (due < next - TOLERANCE) return;
    chunks.push({ start: last && due < next + TOLERANCE ? next : due, pcm });
    while (chunks[0].start < due - KEPT * RATE) chunks.shift();
  }

  get empty() {
    return this.#first === Infinity;
  }

  /** Where the file begins, in ms of performance.now(). */
  get begin() {
    return this.empty ? this.#begin : this.#begin + (this.#first * 1000) / RATE;
  }

  get #first() {
    return Math.min(...Object.values(this.#lanes).map((chunks) => chunks[0]?.start ?? Infinity));
  }

  /** A stereo WAV file: heard on the left, said on the right. */
  wav() {
    const first = this.#first;
    const ends = Object.values(this.#lanes).map((chunks) => chunks.at(-1)).filter(Boolean);
    const frames = Math.max(...ends.map(({ start, pcm }) => start + pcm.length)) - first;
    const samples = new Int16Array(2 * frames);
    Object.values(this.#lanes).forEach((chunks, side) => {
      for (const { start, pcm } of chunks) {
        for (let i = 0; i < pcm.length; i += 1) samples[2 * (start - first + i) + side] = pcm[i];
      }
    });
    return new Blob([header(samples.byteLength), samples], { type: "audio/wav" });
  }
}

/** The 44 bytes before `size` bytes of stereo 16-bit PCM at 24 kHz. */
function header(size) {
  const view = new DataView(new ArrayBuffer(44));
  const name = (at, four) => [...four].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  name(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  name(8, "WAVE");
  name(12, "fmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 2, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 4 * RATE, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  name(36, "data");
  view.setUint32(40, size, true);
  return view.buffer;
}

/** Hands a file to the browser's downloads. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}
