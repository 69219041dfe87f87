// The microphone as the protocol wants it: mono 16-bit PCM at 24 kHz, in chunks of 20 ms.

/**
 * Opens the microphone with the browser's echo canceller, noise suppression and gain control: the device of
 * that id, or if that is "" or not there, the browser's choice.
 *
 * `onChunk({pcm: Int16Array[480], peak: 0..1, at: performance.now() of its end})` is called for every chunk,
 * `onLost()` when the device goes away. Throws what `getUserMedia` throws; `explain()` puts that into words.
 */
export class Microphone {
  static async open({ device, onChunk, onLost }) {
    // The context keeps the device's own rate, because Firefox connects a microphone to no other; the
    // worklet resamples.
    const context = new AudioContext({ latencyHint: "interactive" });
    let stream;
    try {
      await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
      stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          ...(device && { deviceId: { ideal: device } }),
          channelCount: 1,
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true,
        },
      });
    } catch (error) {
      await context.close();
      throw error;
    }
    const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    capture.port.onmessage = ({ data: { pcm, peak, time } }) => {
      onChunk({ pcm, peak, at: performance.now() - (context.currentTime - time) * 1000 });
    };
    context.createMediaStreamSource(stream).connect(capture);
    await context.resume();
    return new Microphone(stream, context, onLost);
  }

  constructor(stream, context, onLost) {
    this.context = context;
    this.stream = stream;
    [this.track] = stream.getAudioTracks();
    this.track.addEventListener("ended", onLost);
  }

  /** A muted microphone sends silence: the session's clock goes on. */
  set muted(muted) {
    this.track.enabled = !muted;
  }

  get muted() {
    return !this.track.enabled;
  }

  close() {
    this.track.stop();
    return this.context.close();
  }
}

/** What went wrong at the microphone: the key of a text, and what to fill in. */
export function explain(error) {
  switch (error.name) {
    case "NotAllowedError":
      return ["microphone denied"];
    case "NotFoundError":
      return ["microphone missing"];
    case "NotReadableError":
      return ["microphone busy"];
    default:
      return ["microphone broken", error.name, error.message];
  }
}
