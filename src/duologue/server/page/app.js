// Wires the page: buttons, banners and the token form around one conversation at a time.

import { Conversation } from "./conversation.js";
import { Latency } from "./latency.js";
import { explain, Microphone } from "./microphone.js";
import { Camera, explainCamera, shrink } from "./pictures.js";
import { Playback } from "./playback.js";
import { askModels, Realtime, TOKEN_ALPHABET } from "./realtime.js";
import { Recording, save } from "./recording.js";
import { choose, chosen, SettingsDialog } from "./settings.js";
import { describe, firstLanguage, label, otherLanguage, speak } from "./texts.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const TOKEN = "duologue.token"; // in this tab's session storage

const at = (id) => document.getElementById(id);
export const timeline = new Timeline(at("timeline"));
export const transcript = new Transcript(at("transcript"), at("announcer"));
const latency = new Latency(at("latency"));

/** The call that is going on: {line, playback, microphone, conversation}; null between calls. */
let call = null;

/** The sound of this call, or of the last one. */
let recording = null;

speak(firstLanguage(chosen.language));

async function start() {
  if (!window.isSecureContext) {
    problem("start", "insecure", location.port && `:${location.port}`);
    return;
  }
  for (const name of [...problems.keys()]) problem(name, null);
  transcript.clear();
  latency.clear();
  timeline.start();
  recording = new Recording();
  stage("live");
  showFloor("idle");
  const mine = { line: null, playback: null, microphone: null, conversation: null };
  call = mine;
  try {
    mine.playback = await Playback.open({ onProgress: (progress) => showProgress(mine, progress) });
  } catch (error) {
    problem("start", "no sound", error.message);
    return stop();
  }
  if (call !== mine) return void mine.playback.close();
  mine.line = new Realtime({
    token: sessionStorage.getItem(TOKEN),
    onEvent: (event) => mine.conversation.handle(event),
    onStatus: (status) => showLine(mine, status),
  });
  mine.conversation = new Conversation({
    line: mine.line,
    playback: mine.playback,
    transcript,
    timeline,
    latency,
    chosen,
    onFloor: showFloor,
    onProblem: (...told) => problem("session", ...told),
  });
  mine.line.run();
  await openMicrophone(mine);
}

async function openMicrophone(mine) {
  try {
    const microphone = await Microphone.open({
      device: chosen.microphone,
      onChunk: ({ pcm, peak, at: end }) => {
        mine.conversation.hear(pcm, end);
        timeline.level("heard", end, peak);
        if (call === mine) recording.add("heard", end, pcm);
      },
      onLost: () => call === mine && problem("microphone", "microphone lost"),
    });
    if (call !== mine) return void microphone.close();
    mine.microphone?.close();
    microphone.muted = mine.microphone?.muted ?? false;
    mine.microphone = microphone;
    at("mute").disabled = false;
    problem("microphone", null);
  } catch (error) {
    if (call === mine) problem("microphone", ...explain(error));
  }
}

function stop() {
  const { line, playback, microphone } = call;
  call = null;
  line?.stop();
  playback?.close();
  microphone?.close();
  transcript.settle();
  timeline.stop();
  showFloor("idle");
  showMuted(false);
  for (const name of ["mute", "interrupt", "picture", "snapshot"]) at(name).disabled = true;
  at("token-form").hidden = true;
  document.body.dataset.line = "";
  problem("line", null);
  at("save-sound").disabled = recording.empty;
  at("save-words").disabled = transcript.written(0).length === 0;
  stage("ended");
}

// -- what the person does --------------------------------------------------------------------------------

at("start").addEventListener("click", start);
at("again").addEventListener("click", start);
at("stop").addEventListener("click", stop);
at("interrupt").addEventListener("click", () => call.conversation.interrupt());
at("mute").addEventListener("click", () => {
  call.microphone.muted = !call.microphone.muted;
  showMuted(call.microphone.muted);
});
addEventListener("keydown", ({ key }) => {
  // In a dialog, Escape closes that.
  if (key === "Escape" && !document.querySelector("dialog[open]")) call?.conversation?.interrupt();
});
at("say").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = at("text").value.trim();
  if (!text || !call?.line?.ready) return;
  at("text").value = "";
  call.conversation.say(text);
});
at("language").addEventListener("click", () => {
  choose("language", otherLanguage());
  speak(chosen.language);
});
at("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const token = at("token").value.trim();
  if (!TOKEN_ALPHABET.test(token)) return label(at("token-hint"), "token alphabet");
  sessionStorage.setItem(TOKEN, token);
  at("token-form").hidden = true;
  at("token").value = "";
  call.line.token = token;
  call.line.run();
});

new SettingsDialog({
  onChange: (name) => {
    if (name === "microphone") return void (call?.microphone && openMicrophone(call));
    call?.conversation?.configure(name);
  },
  async voices() {
    // The choice of voices is a comfort: a server that is away or wants its token first says so at Start.
    const answer = await askModels(sessionStorage.getItem(TOKEN)).catch(() => null);
    return answer?.ok ? ((await answer.json()).data[0].voices ?? []) : [];
  },
});

const camera = new Camera({
  dialog: at("camera"),
  video: at("viewfinder"),
  take: at("take"),
  cancel: at("camera-cancel"),
  onPicture: showPicture,
});
at("snapshot").addEventListener("click", async () => {
  at("snapshot").disabled = true; // until the browser has asked and the person has answered
  try {
    await camera.open();
    problem("picture", null);
  } catch (error) {
    problem("picture", ...explainCamera(error));
  }
  at("snapshot").disabled = !call?.line?.ready;
});
at("picture").addEventListener("click", () => at("picture-file").click());
at("picture-file").addEventListener("change", async () => {
  const [file] = at("picture-file").files;
  at("picture-file").value = ""; // so that the same file may be shown again
  try {
    showPicture(await shrink(file));
  } catch {
    problem("picture", "picture unreadable", file.name); // a decoder has no more to say than that
  }
});

at("save-sound").addEventListener("click", () => save(recording.wav(), `${fileName()}.wav`));
at("save-words").addEventListener("click", () => {
  const words = {
    model: at("model").textContent,
    begun: recording.date.toISOString(),
    sound: { left: "you", right: "duologue", rate: 24000 },
    turns: transcript.written(recording.begin),
  };
  save(new Blob([JSON.stringify(words, null, 2)], { type: "application/json" }), `${fileName()}.json`);
});

function fileName() {
  return `duologue-${recording.date.toISOString().slice(0, 19).replaceAll(":", "-")}`;
}

// -- what the person sees --------------------------------------------------------------------------------

function stage(name) {
  document.body.dataset.stage = name;
  // On a phone the focus would bring up the keyboard over the conversation.
  if (name === "live" && matchMedia("(hover: hover) and (pointer: fine)").matches) at("text").focus();
  if (name === "ended") at("again").focus();
}

const problems = new Map(); // where it is wrong → what to say about it

/** Says what is wrong in one place (start, microphone, line, session, picture); `null`: nothing any more. */
function problem(place, ...told) {
  if (told[0] === null) problems.delete(place);
  else problems.set(place, told);
  at("problems").replaceChildren(
    ...[...problems.values()].map((key) => {
      const line = document.createElement("p");
      label(line, ...key);
      return line;
    }),
  );
}

function showLine(mine, { kind, wait, message, model }) {
  if (call !== mine) return;
  document.body.dataset.line = kind;
  for (const name of ["send", "picture", "snapshot"]) at(name).disabled = kind !== "open";
  if (kind === "open") {
    at("model").textContent = model.id;
    // What is said of pocket is true of pocket only; the licences of others' weights may forbid a use.
    if (model.licence && model.id !== "pocket") label(at("footnote"), "footnote other", model.title, model.licence);
    else label(at("footnote"), "footnote");
    problem("line", null);
    return;
  }
  if (kind === "connecting") return;
  mine.conversation.lost();
  if (kind === "token") askForToken();
  else problem("line", kind, wait, message && sentence(message));
}

function askForToken() {
  const tried = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  problem("line", null);
  label(at("token-hint"), tried ? "token wrong" : "token where");
  at("token-form").hidden = false;
  at("token").focus();
}

function showPicture(url) {
  if (!call?.line?.ready) return;
  problem("picture", null);
  call.conversation.show(url);
  at("text").focus();
}

function showFloor(state) {
  const pill = at("floor");
  pill.dataset.state = state;
  label(pill, state);
  describe(pill, "title", `${state} means`);
  timeline.setFloor(state);
}

function showProgress(mine, { peak, at: end, queued, item, pcm }) {
  timeline.level("said", end, peak);
  if (call !== mine) return;
  if (pcm) recording.add("said", end, pcm);
  if (item) mine.conversation.sounding(item, end);
  at("interrupt").disabled = !(mine.conversation?.replying || queued > 0);
}

function showMuted(muted) {
  at("mute").setAttribute("aria-pressed", String(muted));
  label(at("mute"), muted ? "muted" : "mute");
}

function sentence(message) {
  return message[0].toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? "" : ".");
}
