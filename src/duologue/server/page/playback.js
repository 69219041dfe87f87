// The loudspeaker: a queue of speech that knows how much of each item was really played.

const RATE = 24000;

/**
 * `onProgress({peak: 0..1, at: performance.now() of its end, queued: seconds not yet played, item, pcm})` is
 * called every 21 ms for as long as playback is open: the level of what went out, the item it belonged to and the
 * samples (Int16Array[512]), both null where there was silence.
 */
export class Playback {
  static async open({ onProgress }) {
    const context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("./playback-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    node.connect(context.destination);
    await context.resume();
    return new Playback(context, node, onProgress);
  }

  #flushes = []; // resolvers of flush(), oldest first; the worklet answers in order

  constructor(context, node, onProgress) {
    this.context = context;
    this.node = node;
    node.port.onmessage = ({ data }) => {
      if (data.cuts) return this.#flushes.shift()(data.cuts);
      const at = performance.now() - (context.currentTime - data.time) * 1000;
      onProgress({ ...data, at, queued: data.queued / RATE });
    };
  }

  /** Queues base64 PCM16 of one content part of an item. */
  push(item, part, base64) {
    const bytes = atob(base64);
    const samples = new Float32Array(bytes.length / 2);
    for (let i = 0; i < samples.length; i += 1) {
      const unsigned = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
      samples[i] = ((unsigned << 16) >> 16) / 32768;
    }
    this.node.port.postMessage({ push: { item, part, samples } }, [samples.buffer]);
  }

  /** Holds the sound where it is, or goes on from there. */
  pause(paused) {
    this.node.port.postMessage({ pause: paused });
  }

  /**
   * Falls silent at once and forgets the queue. Resolves to what was cut short, `[{item, part, ms}]`, where
   * `ms` is how much of it came out of the loudspeaker.
   */
  async flush() {
    this.node.port.postMessage({ flush: true });
    const cuts = await new Promise((resolve) => this.#flushes.push(resolve));
    const underway = (this.context.outputLatency || 0) * RATE; // rendered, but not yet in the air
    return cuts.map(({ item, part, played }) => {
      return { item, part, ms: Math.floor((Math.max(0, played - underway) * 1000) / RATE) };
    });
  }

  close() {
    return this.context.close();
  }
}
