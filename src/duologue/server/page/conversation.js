// What happens in a conversation: the protocol's events become sound, words and marks, and back.

const SETTINGS = {
  type: "realtime",
  audio: { input: { transcription: { model: "pocket" } } },
  // Events beyond OpenAI's that only this page asks for.
  duologue: { events: ["floor", "partial", "pause", "ignored", "latency"] },
};

/** Errors that tell of a lost race, which is nobody's fault. */
const RACES = new Set(["response_cancel_not_active", "input_audio_buffer_commit_empty"]);

/**
 * `line.send(event)` is the way to the server; `playback`, `transcript` and `timeline` are the rooms of those
 * names; `onFloor(state)` and `onProblem(message)` tell the page.
 */
export class Conversation {
  #active = null; // id of the response being made
  #unwanted = new Set(); // responses that fell silent: what still arrives of their sound is dropped
  #heard = null; // item of the turn that is being heard, once it has words
  #overlaps = 0; // turns over a reply have no item until they prove to be interruptions
  #waiting = false; // a typed turn waits for the reply before it to end

  constructor({ line, playback, transcript, timeline, onFloor, onProblem }) {
    Object.assign(this, { line, playback, transcript, timeline, onFloor, onProblem });
  }

  /** Whether a reply is being made (its sound may end a little later). */
  get replying() {
    return this.#active !== null;
  }

  handle(event) {
    HANDLERS[event.type]?.call(this, event);
  }

  hear(pcm) {
    let bytes = "";
    for (const byte of new Uint8Array(pcm.buffer)) bytes += String.fromCharCode(byte);
    this.line.send({ type: "input_audio_buffer.append", audio: btoa(bytes) });
  }

  /** A typed turn. It takes the floor from a reply, as a spoken one would. */
  async say(text) {
    const id = crypto.randomUUID().replaceAll("-", "");
    this.transcript.final(id, "you", text);
    await this.interrupt(); // first, so that the reply is made to a history cut to what was heard
    const content = [{ type: "input_text", text }];
    this.line.send({ type: "conversation.item.create", item: { id, type: "message", role: "user", content } });
    if (this.replying) this.#waiting = true;
    else this.line.send({ type: "response.create" });
  }

  /** Ends the reply, if there is one, and tells the server how much of it was heard. */
  async interrupt() {
    if (this.replying) this.line.send({ type: "response.cancel" });
    await this.#fallSilent();
  }

  /** The line is down. Nothing more comes of what was under way. */
  lost() {
    this.#active = this.#heard = null;
    this.#waiting = false;
    this.transcript.settle();
    this.onFloor("idle");
    return this.playback.flush();
  }

  async #fallSilent() {
    if (this.#active) this.#unwanted.add(this.#active);
    const cuts = await this.playback.flush();
    if (cuts.length) this.timeline.mark("said", "cut");
    for (const { item, part, ms } of cuts) {
      this.transcript.note(item, "interrupted");
      this.line.send({ type: "conversation.item.truncate", item_id: item, content_index: part, audio_end_ms: ms });
    }
  }

  begin() {
    this.line.send({ type: "session.update", session: SETTINGS });
    // After a lost line this is another session: tell it what was said in the old one.
    for (const { id, side, text } of this.transcript.history()) {
      const you = side === "you";
      const content = [{ type: you ? "input_text" : "output_text", text }];
      const item = { id, type: "message", role: you ? "user" : "assistant", content };
      this.line.send({ type: "conversation.item.create", item });
    }
  }

  started({ item_id: item }) {
    if (this.#heard) {
      this.transcript.rename(this.#heard, item);
      this.#heard = item;
    }
    this.transcript.open(item, "you");
    return this.#fallSilent();
  }

  responded({ response }) {
    this.#active = response.id;
  }

  sounded({ response_id: response, item_id: item, content_index: part, delta }) {
    if (!this.#unwanted.has(response)) this.playback.push(item, part, delta);
  }

  ended({ response }) {
    this.#active = null;
    this.#unwanted.delete(response.id);
    const items = response.output.map((item) => item.id);
    if (response.status === "cancelled") {
      this.#fallSilent();
      for (const item of items) this.transcript.note(item, "interrupted");
    } else if (response.status === "failed") {
      this.onProblem(`The reply failed: ${response.status_details?.error?.message ?? "no reason was given"}`);
    }
    if (this.#waiting) this.line.send({ type: "response.create" });
    this.#waiting = false;
  }

  guessed({ item_id, text }) {
    const item = item_id || `overlap-${this.#overlaps}`;
    this.transcript.partial(item, "you", text);
    if (text) this.#heard = item;
  }

  committed({ item_id: item }) {
    if (this.#heard === item) this.#heard = null;
  }

  floorChanged({ state }) {
    // The turn is over and became no item: "mm-hm", or words that were not meant for it.
    if (this.#heard && (state === "idle" || state === "replying")) {
      this.leftAlone({ item_id: this.#heard, text: "" });
      this.#heard = null;
      this.#overlaps += 1;
    }
    this.onFloor(state);
  }

  paused({ paused }) {
    this.playback.pause(paused);
    this.timeline.mark("said", paused ? "pause" : "resume");
  }

  leftAlone({ item_id: item, text }) {
    this.transcript.leaveAlone(item, text);
    this.timeline.mark("heard", "left alone");
  }

  answered({ response_id: response, ms }) {
    this.transcript.latency(response, ms);
    this.timeline.mark("said", `${Math.round(ms)} ms`);
  }

  complained({ error }) {
    if (!RACES.has(error.code)) this.onProblem(error.message);
  }
}

const HANDLERS = {
  "session.created": Conversation.prototype.begin,
  error: Conversation.prototype.complained,

  "input_audio_buffer.speech_started": Conversation.prototype.started,
  "input_audio_buffer.committed": Conversation.prototype.committed,
  "conversation.item.input_audio_transcription.completed"({ item_id: item, transcript: text }) {
    this.transcript.final(item, "you", text);
  },
  "conversation.item.input_audio_transcription.failed"({ item_id: item }) {
    this.transcript.note(item, "the words were lost");
  },

  "response.created": Conversation.prototype.responded,
  "response.output_audio.delta": Conversation.prototype.sounded,
  "response.output_audio_transcript.delta"({ item_id: item, response_id: response, delta }) {
    this.transcript.append(item, response, delta);
  },
  "response.output_audio_transcript.done"({ item_id: item, transcript: text }) {
    this.transcript.final(item, "duologue", text);
  },
  "response.output_text.delta"({ item_id: item, response_id: response, delta }) {
    this.transcript.append(item, response, delta);
  },
  "response.output_text.done"({ item_id: item, text }) {
    this.transcript.final(item, "duologue", text);
  },
  "response.done": Conversation.prototype.ended,

  "duologue.floor": Conversation.prototype.floorChanged,
  "duologue.partial": Conversation.prototype.guessed,
  "duologue.pause": Conversation.prototype.paused,
  "duologue.ignored": Conversation.prototype.leftAlone,
  "duologue.latency": Conversation.prototype.answered,
};
