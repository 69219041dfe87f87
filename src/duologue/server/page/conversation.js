// What happens in a conversation: the protocol's events become sound, words and marks, and back.

import { turnDetection } from "./settings.js";
import { textOf } from "./texts.js";

/** Events beyond OpenAI's that only this page asks for. */
const EXTENSIONS = ["floor", "partial", "pause", "ignored", "latency", "notice"];

const REACH = 300; // ms before the voice's onset that `speech_started` tells of, unless asked otherwise

/** Errors that tell of a lost race, which is nobody's fault. */
const RACES = new Set(["response_cancel_not_active", "input_audio_buffer_commit_empty"]);

/**
 * `line.send(event)` is the way to the server; `playback`, `transcript`, `timeline` and `latency` are the rooms of
 * those names; `chosen` are the settings; `onFloor(state)` and `onProblem(key of a text, …)` tell the page.
 */
export class Conversation {
  #active = null; // id of the response being made
  #unwanted = new Set(); // responses that fell silent: what still arrives of their sound is dropped
  #heard = null; // item of the turn that is being heard, once it has words
  #overlaps = 0; // turns over a reply have no item until they prove to be interruptions
  #waiting = false; // a typed turn waits for the reply before it to end
  #paused = null; // the timeline's mark where the reply was paused
  #spoken = false; // this session has spoken: its voice is settled
  #onset = null; // when the person's turn was noticed, in ms of performance.now()
  #sent = { ms: 0, until: null }; // sound sent in this session, and when its last sample was heard

  constructor({ line, playback, transcript, timeline, latency, chosen, onFloor, onProblem }) {
    Object.assign(this, { line, playback, transcript, timeline, latency, chosen, onFloor, onProblem });
  }

  /** Whether a reply is being made (its sound may end a little later). */
  get replying() {
    return this.#active !== null;
  }

  handle(event) {
    HANDLERS[event.type]?.call(this, event);
  }

  /** 24 kHz samples from the microphone, the last of them heard at `until`. */
  hear(pcm, until) {
    let bytes = "";
    for (const byte of new Uint8Array(pcm.buffer)) bytes += String.fromCharCode(byte);
    if (!this.line.send({ type: "input_audio_buffer.append", audio: btoa(bytes) })) return;
    this.#sent = { ms: this.#sent.ms + pcm.length / 24, until };
  }

  /** When a moment of the sound sent was heard; the server counts in that. */
  #when(ms) {
    const now = performance.now();
    return this.#sent.until === null ? now : Math.min(now, this.#sent.until - (this.#sent.ms - ms));
  }

  /** Something of an item came out of the loudspeaker. */
  sounding(item, at) {
    this.transcript.began(item, at);
  }

  /** A picture that the person shows. No answer is asked for: a spoken or typed question will do that. */
  show(url) {
    const id = newId();
    this.transcript.picture(id, url);
    this.line.send({ type: "conversation.item.create", item: { id, ...message("you", "", url) } });
  }

  /** A setting was chosen while the conversation goes on. */
  configure(name) {
    if (name === "turns" || name === "silence") {
      this.#update({ input: { turn_detection: turnDetection(this.chosen) } });
    }
    if (name === "strictness") this.#update({}, { duologue: { strictness: this.chosen.strictness || null } });
    if (name === "voice" && !this.#spoken) this.#update({ output: { voice: this.chosen.voice || null } });
  }

  #update(audio, more = {}) {
    this.line.send({ type: "session.update", session: { type: "realtime", audio, ...more } });
  }

  /** A typed turn. It takes the floor from a reply, as a spoken one would. */
  async say(text) {
    const id = newId();
    this.transcript.final(id, "you", text);
    await this.interrupt(); // first, so that the reply is made to a history cut to what was heard
    this.line.send({ type: "conversation.item.create", item: { id, ...message("you", text) } });
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
    this.#unpause();
    this.onFloor("idle");
    return this.playback.flush();
  }

  /** Says whether anything was cut short. */
  async #fallSilent() {
    if (this.#active) this.#unwanted.add(this.#active);
    const cuts = await this.playback.flush();
    // What was paused already was cut there.
    if (this.#paused && cuts.length) this.#paused.kind = "cut";
    else if (cuts.length) this.timeline.mark("said", "cut");
    this.#unpause();
    for (const { item, part, ms } of cuts) {
      this.transcript.note(item, "interrupted");
      this.line.send({ type: "conversation.item.truncate", item_id: item, content_index: part, audio_end_ms: ms });
    }
    return cuts.length > 0;
  }

  #unpause() {
    if (this.#paused) this.#paused.until = performance.now();
    this.#paused = null;
  }

  begin() {
    this.#spoken = false;
    this.#sent = { ms: 0, until: null };
    const input = { transcription: { model: "pocket" }, turn_detection: turnDetection(this.chosen) };
    const output = this.chosen.voice ? { voice: this.chosen.voice } : {};
    const strictness = this.chosen.strictness || null;
    this.#update({ input, output }, { duologue: { events: EXTENSIONS, strictness } });
    // After a lost line this is another session: tell it what was said in the old one.
    for (const { id, side, text, picture } of this.transcript.history()) {
      this.line.send({ type: "conversation.item.create", item: { id, ...message(side, text, picture) } });
    }
  }

  async started({ item_id: item, audio_start_ms: start }) {
    const onset = this.#when(start + REACH);
    if (this.#heard) {
      this.transcript.rename(this.#heard, item);
      this.#heard = item;
    }
    this.transcript.open(item, "you");
    this.transcript.began(item, onset);
    if (await this.#fallSilent()) this.timeline.mark("heard", "barge-in", { at: onset });
  }

  responded({ response }) {
    this.#active = response.id;
  }

  sounded({ response_id: response, item_id: item, content_index: part, delta }) {
    this.#spoken = true;
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
      this.onProblem("reply failed", response.status_details?.error?.message ?? textOf("no reason"));
    }
    if (this.#waiting) this.line.send({ type: "response.create" });
    this.#waiting = false;
  }

  guessed({ item_id, text }) {
    const item = item_id || `overlap-${this.#overlaps}`;
    this.transcript.partial(item, "you", text);
    this.transcript.began(item, this.#onset);
    if (text) this.#heard = item;
  }

  committed({ item_id: item }) {
    if (this.#heard === item) this.#heard = null;
  }

  floorChanged({ state, audio_ms: ms }) {
    if (state === "hearing" || state === "contested") this.#onset ??= this.#when(ms);
    // The turn is over and became no item: "mm-hm", or words that were not meant for it.
    if (this.#heard && (state === "idle" || state === "replying")) {
      this.leftAlone({ item_id: this.#heard, text: "" });
      this.#heard = null;
      this.#overlaps += 1;
    }
    if (state === "idle" || state === "replying") this.#onset = null;
    this.onFloor(state);
  }

  paused({ paused }) {
    this.playback.pause(paused);
    if (!paused) this.#unpause();
    else this.#paused ??= this.timeline.mark("said", "paused", { until: Infinity });
  }

  leftAlone({ item_id: item, text }) {
    this.transcript.leaveAlone(item, text);
    this.transcript.began(item, this.#onset);
    this.timeline.mark("heard", "left alone", { at: this.#onset ?? performance.now() });
  }

  answered({ response_id: response, ms }) {
    this.transcript.latency(response, ms);
    this.timeline.mark("said", "latency", { parts: [Math.round(ms)] });
    this.latency.add(ms);
  }

  complained({ error }) {
    if (!RACES.has(error.code)) this.onProblem("told", error.message);
  }
}

function newId() {
  return crypto.randomUUID().replaceAll("-", "");
}

/** What one side said, wrote or showed, as an item of the protocol without its id. */
function message(side, text, picture = null) {
  const content = [];
  if (picture) content.push({ type: "input_image", image_url: picture });
  if (text) content.push({ type: side === "you" ? "input_text" : "output_text", text });
  return { type: "message", role: side === "you" ? "user" : "assistant", content };
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
    this.transcript.note(item, "words lost");
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
  "duologue.notice"({ message }) {
    this.onProblem("told", message);
  },
};
