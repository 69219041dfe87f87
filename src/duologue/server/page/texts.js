// Every text of the page in both its languages, and the one place that puts them into the document.
//
// An element says by `data-text` which text it shows, by `data-text-label`, `-title` and `-placeholder` which one
// stands in these attributes. So a switch of language finds whatever is on the page, however it came there.

/** key: [English, Chinese]; {0}, {1}, … are filled in. */
const TEXTS = {
  // before the call
  lead: ["Talk the way people talk with each other: pause to think, interrupt, be interrupted.", "像人与人交谈那样说话：可以停下来想，可以打断，也可以被打断。"],
  start: ["Start", "开始"],
  try: ["Ask the time, set a timer, ask for a story and interrupt it.", "用英语问问时间、设个定时器，或让它讲个故事，再打断它。"],
  footnote: ["The built-in model, pocket, understands English only. Nothing you say is kept on the server.", "内置模型 pocket 只听得懂英语。您说的话不会保存在服务器上。"],
  "footnote other": ["{0}. Licence of its weights: {1}. Nothing you say is kept on the server.", "{0}。权重许可：{1}。您说的话不会保存在服务器上。"],
  "other language": ["中文", "EN"],
  "to other language": ["显示中文", "Show in English"],
  // the call
  conversation: ["Conversation", "对话"],
  waveforms: ["Waveforms: you above, duologue below", "波形：上面是您，下面是 duologue"],
  transcript: ["Transcript", "文字记录"],
  "say something": ["Say something.", "请说点什么。"],
  "type here": ["Speak, or type here", "说话，或在此输入"],
  type: ["Type to duologue", "输入文字给 duologue"],
  send: ["Send", "发送"],
  interrupt: ["Interrupt", "打断"],
  mute: ["Mute", "静音"],
  muted: ["Muted", "已静音"],
  stop: ["Stop", "结束"],
  "start again": ["Start again", "重新开始"],
  "save sound": ["Save sound", "保存声音"],
  "save words": ["Save words", "保存文字"],
  "what is saved": ["Stereo: you left, duologue right; the last 30 minutes. Made here, in your browser.", "立体声：左边是您，右边是 duologue；最近 30 分钟。在您的浏览器里生成。"],
  "what is written": ["JSON: who said what, and when in the sound", "JSON：谁说了什么，在录音的什么时刻"],
  you: ["you", "您"],
  duologue: ["duologue", "duologue"],
  // the floor's states, and what they mean to a person
  idle: ["idle", "空闲"],
  hearing: ["hearing", "在听"],
  speculating: ["speculating", "预备"],
  replying: ["replying", "在答"],
  contested: ["contested", "争话"],
  overlapped: ["overlapped", "重叠"],
  "idle means": ["Nobody speaks", "没有人说话"],
  "hearing means": ["It hears you", "它在听您说话"],
  "speculating means": ["You paused: it gets an answer ready, in case you are done", "您停顿了：它先准备好回答，以防您已说完"],
  "replying means": ["It speaks", "它在说话"],
  "contested means": ["You spoke over it: it waits to hear whether you mean to interrupt", "您在它说话时开口：它等着听您是否要打断"],
  "overlapped means": ["Both speak", "双方都在说话"],
  // marks and notes
  latency: ["{0} ms", "{0} 毫秒"],
  paused: ["paused", "暂停"],
  cut: ["cut", "截断"],
  "barge-in": ["interrupts", "打断"],
  "left alone": ["left alone", "未理会"],
  "answered after": ["answered after {0} ms", "{0} 毫秒后回答"],
  interrupted: ["interrupted", "被打断"],
  "heard, left alone": ["heard, left alone", "听到了，未理会"],
  wordless: ["(sound without words)", "（没有话语的声音）"],
  "words lost": ["the words were lost", "文字丢失了"],
  "ask about it": ["ask about it", "可以就它提问"],
  "picture shown": ["The picture you showed", "您展示的图片"],
  "a picture": ["a picture", "一张图片"],
  median: ["answers after {0} ms (median of {1})", "{0} 毫秒后回答（{1} 次的中位数）"],
  // settings
  settings: ["Settings", "设置"],
  microphone: ["Microphone", "麦克风"],
  "default microphone": ["The browser's choice", "由浏览器选择"],
  "microphone number": ["Microphone {0}", "麦克风 {0}"],
  "microphone hint": ["Browsers name the microphones once they may use one.", "允许使用麦克风后，浏览器才会列出名称。"],
  voice: ["Voice", "声音"],
  "default voice": ["The model's own", "模型默认"],
  "voice hint": ["Once it has spoken, another voice waits for the next conversation.", "它一旦开口，新的声音要到下一次对话才生效。"],
  turns: ["When are you done speaking?", "怎样算您说完了？"],
  auto: ["It judges by what you say", "由它根据内容判断"],
  low: ["Patient: it lets you think", "耐心：让您多想一会儿"],
  medium: ["Balanced", "适中"],
  high: ["Quick: it answers soon", "敏捷：尽快回答"],
  silence: ["After a fixed silence", "静默固定时间之后"],
  "silence length": ["Silence", "静默时长"],
  strictness: ["When does it take itself to be meant?", "什么时候算是在对它说话？"],
  "strictness default": ["The server's choice", "由服务器决定"],
  loose: ["Whatever it makes sense of", "只要能听懂"],
  normal: ["When it is likely", "很可能是在对它说时"],
  strict: ["When called by name, or in the middle of a talk", "叫它的名字，或正在交谈时"],
  seconds: ["{0} s", "{0} 秒"],
  close: ["Close", "关闭"],
  // pictures
  "show picture": ["Show a picture", "展示图片"],
  "show camera": ["Show a camera picture", "用摄像头拍照展示"],
  camera: ["Camera", "摄像头"],
  take: ["Take the picture", "拍照"],
  cancel: ["Cancel", "取消"],
  // the token
  "token wanted": ["This server asks for a token", "此服务器需要令牌"],
  "use token": ["Use it", "使用"],
  "token where": ["It is the one given to the server as --token. It is kept in this tab only.", "就是启动服务器时用 --token 给出的令牌。它只保存在此标签页中。"],
  "token wrong": ["That is not this server's token.", "这不是此服务器的令牌。"],
  "token alphabet": ["A browser can send letters, digits and !#$%&'*+-.^_`|~ only: the server needs another token.", "浏览器只能发送字母、数字和 !#$%&'*+-.^_`|~，服务器需要换一个令牌。"],
  // what goes wrong
  insecure: ["Browsers allow the microphone only over https or on this machine itself. Start the server with --ssl-cert and --ssl-key, or open http://localhost{0} where it runs.", "浏览器只允许在 https 下或在本机上使用麦克风。请用 --ssl-cert 和 --ssl-key 启动服务器，或在运行它的机器上打开 http://localhost{0}。"],
  "no sound": ["Sound could not be opened ({0}). Reload the page to try again.", "无法打开声音（{0}）。请重新加载页面再试。"],
  "microphone lost": ["The microphone is gone. Connect it, then start again. You can still type.", "麦克风断开了。请接好后重新开始。您仍可以打字。"],
  "microphone denied": ["The browser may not use the microphone. Allow it in the address bar or the site's settings, then start again. You can still type.", "浏览器无权使用麦克风。请在地址栏或网站设置中允许，然后重新开始。您仍可以打字。"],
  "microphone missing": ["No microphone was found. Connect one, then start again. You can still type.", "没有找到麦克风。请接上一个，然后重新开始。您仍可以打字。"],
  "microphone busy": ["The microphone is there but gives no sound, perhaps because another program holds it. Close that program, then start again. You can still type.", "麦克风在，但没有声音，也许被别的程序占用。请关闭那个程序，然后重新开始。您仍可以打字。"],
  "microphone broken": ["The microphone could not be opened ({0}: {1}). You can still type.", "无法打开麦克风（{0}：{1}）。您仍可以打字。"],
  "camera denied": ["The browser may not use the camera. Allow it in the address bar or the site's settings, or show a picture from a file.", "浏览器无权使用摄像头。请在地址栏或网站设置中允许，或从文件中选图片。"],
  "camera missing": ["No camera was found. Connect one, or show a picture from a file.", "没有找到摄像头。请接上一个，或从文件中选图片。"],
  "camera broken": ["The camera could not be opened ({0}: {1}). Show a picture from a file instead.", "无法打开摄像头（{0}：{1}）。请从文件中选图片。"],
  "picture unreadable": ["{0} is no picture that this browser can read. Try a PNG or JPEG file.", "此浏览器无法读取图片 {0}。请换 PNG 或 JPEG 文件。"],
  gone: ["The server is gone. Trying again in {0} s.", "服务器断开了。{0} 秒后重试。"],
  full: ["{1} Trying again in {0} s.", "服务器已满：{1} {0} 秒后重试。"],
  refused: ["The server refused: {1} Trying again in {0} s.", "服务器拒绝了：{1} {0} 秒后重试。"],
  "reply failed": ["The reply failed: {0}", "回答失败：{0}"],
  "no reason": ["no reason was given", "没有给出原因"],
  told: ["{0}", "{0}"],
};

const PLACES = {
  text: (element, words) => (element.textContent = words),
  textLabel: (element, words) => element.setAttribute("aria-label", words),
  textTitle: (element, words) => (element.title = words),
  textAlt: (element, words) => (element.alt = words),
  textPlaceholder: (element, words) => (element.placeholder = words),
};

const LANGUAGES = ["en", "zh"];
let language = "en";

/** The text of a key in the language of the moment, filled in. */
export function textOf(key, ...parts) {
  return TEXTS[key][LANGUAGES.indexOf(language)].replace(/\{(\d)\}/g, (_, index) => parts[index]);
}

/** Lets an element show a text, in every language from now on. */
export function label(element, key, ...parts) {
  element.dataset.text = key;
  element.dataset.parts = JSON.stringify(parts);
  element.textContent = textOf(key, ...parts);
}

/** Puts a text into an attribute: `place` is "label", "title", "alt" or "placeholder". */
export function describe(element, place, key) {
  const name = `text${place[0].toUpperCase()}${place.slice(1)}`;
  element.dataset[name] = key;
  PLACES[name](element, textOf(key));
}

/** The language to begin with: the one chosen before, or the browser's. */
export function firstLanguage(chosen) {
  return chosen || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
}

export function otherLanguage() {
  return language === "en" ? "zh" : "en";
}

/** Shows the whole page in a language. */
export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-Hans" : "en";
  for (const [name, put] of Object.entries(PLACES)) {
    const attribute = `data-${name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      const parts = name === "text" ? JSON.parse(element.dataset.parts ?? "[]") : [];
      put(element, textOf(element.dataset[name], ...parts));
    }
  }
}
