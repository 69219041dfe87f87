// What a person chose once: language, microphone, voice, when a turn of theirs is over, and when it is meant. Kept in this browser.

import { label, textOf } from "./texts.js";

const PLACE = "duologue.settings"; // in local storage; absent until something is chosen
const FIRST = { language: "", microphone: "", voice: "", turns: "auto", silence: 500, strictness: "" };

const at = (id) => document.getElementById(id);

/** The choices as they stand. `language`, `microphone` (a device's id) and `voice` are "" where nothing was chosen. */
export const chosen = { ...FIRST, ...JSON.parse(localStorage.getItem(PLACE) ?? "{}") };

/** Changes one choice for this visit and the next ones. */
export function choose(name, value) {
  chosen[name] = value;
  localStorage.setItem(PLACE, JSON.stringify(chosen));
}

/** The choice about turns as the protocol's `turn_detection`. */
export function turnDetection({ turns, silence }) {
  if (turns === "silence") return { type: "server_vad", silence_duration_ms: silence };
  return { type: "semantic_vad", eagerness: turns };
}

/**
 * The dialog. `onChange(name)` is told of each choice as it is made; `voices()` resolves to the names that the
 * server's model has, or to none where the server does not tell.
 */
export class SettingsDialog {
  constructor({ onChange, voices }) {
    this.dialog = at("settings");
    this.onChange = onChange;
    this.voices = voices;
    at("settings-open").addEventListener("click", () => this.open());
    for (const name of ["microphone", "voice", "turns", "silence", "strictness"]) {
      at(name).addEventListener("change", () => {
        choose(name, name === "silence" ? at(name).valueAsNumber : at(name).value);
        this.#showSilence();
        this.onChange(name);
      });
    }
    at("silence").addEventListener("input", () => this.#showSilence());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.dialog.open && this.showMicrophones());
  }

  async open() {
    at("turns").value = chosen.turns;
    at("silence").value = chosen.silence;
    at("strictness").value = chosen.strictness;
    this.#showSilence();
    offer(at("voice"), "default voice", [], chosen.voice);
    offer(at("microphone"), "default microphone", [], chosen.microphone);
    this.dialog.showModal();
    const [, voices] = await Promise.all([this.showMicrophones(), this.voices()]);
    offer(at("voice"), "default voice", voices.map((voice) => ({ value: voice, name: voice })), chosen.voice);
  }

  async showMicrophones() {
    // A page that is not secure has no devices to ask for.
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    // Before permission is given, there are devices without a name or an id. "default" is the browser's choice.
    const known = devices.filter((d) => d.kind === "audioinput" && d.deviceId && d.deviceId !== "default");
    const choices = known.map((d, i) => ({ value: d.deviceId, name: d.label || textOf("microphone number", i + 1) }));
    offer(at("microphone"), "default microphone", choices, chosen.microphone);
    at("microphone-hint").hidden = known.some((d) => d.label);
  }

  #showSilence() {
    at("silence-row").hidden = at("turns").value !== "silence";
    label(at("silence-shown"), "seconds", (at("silence").valueAsNumber / 1000).toFixed(1));
  }
}

/** Fills a <select> with nothing chosen in particular (a text of ours) and the choices `[{value, name}]`. */
function offer(select, none, choices, value) {
  const options = [{ value: "", name: "" }, ...choices].map((choice) => new Option(choice.name, choice.value));
  label(options[0], none);
  select.replaceChildren(...options);
  // What was chosen earlier may not be there today: then nothing is, and the choice waits for it to come back.
  select.value = choices.some((choice) => choice.value === value) ? value : "";
}
