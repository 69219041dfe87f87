// Wires the page: buttons, banners and the token form around one conversation at a time.

import { Conversation } from "./conversation.js";
import { explain, Microphone } from "./microphone.js";
import { Playback } from "./playback.js";
import { Realtime, TOKEN_ALPHABET } from "./realtime.js";
import { Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";

const TOKEN = "duologue.token"; // in this tab's session storage

/** What the floor's states mean to a person. */
const FLOOR = {
  idle: "Nobody speaks",
  hearing: "It hears you",
  speculating: "You paused: it gets an answer ready, in case you are done",
  replying: "It speaks",
  contested: "You spoke over it: it waits to hear whether you mean to interrupt",
  overlapped: "Both speak",
};

const at = (id) => document.getElementById(id);
export const timeline = new Timeline(at("timeline"));
export const transcript = new Transcript(at("transcript"), at("announcer"));

/** The call that is going on: {line, playback, microphone, conversation}; null between calls. */
let call = null;

async function start() {
  if (!window.isSecureContext) {
    const port = location.port && `:${location.port}`;
    problem("start", `Browsers allow the microphone only over https or on this machine itself. Start the server with --ssl-cert and --ssl-key, or open http://localhost${port} where it runs.`);
    return;
  }
  for (const name of [...problems.keys()]) problem(name, null);
  transcript.clear();
  timeline.start();
  stage("live");
  showFloor("idle");
  const mine = { line: null, playback: null, microphone: null, conversation: null };
  call = mine;
  try {
    mine.playback = await Playback.open({ onProgress: (progress) => showProgress(mine, progress) });
  } catch (error) {
    problem("start", `Sound could not be opened (${error.message}). Reload the page to try again.`);
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
    onFloor: showFloor,
    onProblem: (message) => problem("session", message),
  });
  mine.line.run();
  await openMicrophone(mine);
}

async function openMicrophone(mine) {
  try {
    const microphone = await Microphone.open({
      onChunk: ({ pcm, peak, at: end }) => {
        mine.conversation.hear(pcm);
        timeline.level("heard", end, peak);
      },
      onLost: () => call === mine && problem("microphone", "The microphone is gone. Connect it, then start again. You can still type."),
    });
    if (call !== mine) return void microphone.close();
    mine.microphone = microphone;
    at("mute").disabled = false;
  } catch (error) {
    if (call === mine) problem("microphone", explain(error));
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
  at("mute").disabled = at("interrupt").disabled = true;
  at("token-form").hidden = true;
  document.body.dataset.line = "";
  problem("line", null);
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
  if (key === "Escape") call?.conversation?.interrupt();
});
at("say").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = at("text").value.trim();
  if (!text || !call?.line?.ready) return;
  at("text").value = "";
  call.conversation.say(text);
});
at("token-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const token = at("token").value.trim();
  if (!TOKEN_ALPHABET.test(token)) {
    at("token-hint").textContent = "A browser can send letters, digits and !#$%&'*+-.^_`|~ only: the server needs another token.";
    return;
  }
  sessionStorage.setItem(TOKEN, token);
  at("token-form").hidden = true;
  at("token").value = "";
  call.line.token = token;
  call.line.run();
});

// -- what the person sees --------------------------------------------------------------------------------

function stage(name) {
  document.body.dataset.stage = name;
  // On a phone the focus would bring up the keyboard over the conversation.
  if (name === "live" && matchMedia("(hover: hover) and (pointer: fine)").matches) at("text").focus();
  if (name === "ended") at("again").focus();
}

const problems = new Map(); // where it is wrong → what to say about it

/** Says what is wrong in one place (start, microphone, line, session); `null`: nothing any more. */
function problem(place, message) {
  if (message === null) problems.delete(place);
  else problems.set(place, message);
  at("problems").replaceChildren(
    ...[...problems].map(([, text]) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    }),
  );
}

function showLine(mine, { kind, wait, message, model }) {
  if (call !== mine) return;
  document.body.dataset.line = kind;
  at("send").disabled = kind !== "open";
  if (kind === "open") {
    at("model").textContent = model;
    problem("line", null);
    return;
  }
  if (kind === "connecting") return;
  mine.conversation.lost();
  const again = `Trying again in ${wait} s.`;
  if (kind === "gone") problem("line", `The server is gone. ${again}`);
  if (kind === "full") problem("line", `${sentence(message)} ${again}`);
  if (kind === "refused") problem("line", `The server refused: ${sentence(message)} ${again}`);
  if (kind === "token") askForToken();
}

function askForToken() {
  const tried = sessionStorage.getItem(TOKEN) !== null;
  sessionStorage.removeItem(TOKEN);
  problem("line", null);
  at("token-hint").textContent = tried
    ? "That is not this server's token."
    : "It is the one given to the server as --token. It is kept in this tab only.";
  at("token-form").hidden = false;
  at("token").focus();
}

function showFloor(state) {
  const pill = at("floor");
  pill.dataset.state = pill.textContent = state;
  pill.title = FLOOR[state] ?? "";
  timeline.setFloor(state);
}

function showProgress(mine, { peak, at: end, queued }) {
  timeline.level("said", end, peak);
  if (call === mine) at("interrupt").disabled = !(mine.conversation?.replying || queued > 0);
}

function showMuted(muted) {
  at("mute").setAttribute("aria-pressed", String(muted));
  at("mute").textContent = muted ? "Muted" : "Mute";
}

function sentence(message) {
  return message[0].toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? "" : ".");
}
