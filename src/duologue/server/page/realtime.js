// A client of OpenAI Realtime over WebSocket: it connects, hands on every event, and connects again when the
// server is gone. What the events mean is not known here; see conversation.js.

const BACKOFF = [0.5, 1, 2, 4, 8]; // seconds between attempts; the last one repeats
const FULL_HOUSE_WAIT = 3; // seconds: someone has to hang up first
const HANDSHAKE_LIMIT = 8; // seconds until `session.created`
const STALLED = 640 * 1024; // bytes not yet sent, about ten seconds of audio: the server no longer reads

/** The token cannot be sent: a browser puts it into a subprotocol, where few characters are allowed. */
export const TOKEN_ALPHABET = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Asks the server what it serves: a promise of the HTTP response. Rejects where there is no answer at all. */
export function askModels(token, signal) {
  return fetch("v1/models", { headers: token ? { Authorization: `Bearer ${token}` } : {}, signal });
}

/**
 * `onEvent(event)` gets every server event. `onStatus({kind, wait?, message?, model?})` tells how the line is:
 *   connecting · open (after `session.created`; `model` is what /v1/models says of it)
 *   gone · full · refused   (tries again after `wait` seconds)
 *   token                   (stopped: the server wants a token, or another one)
 */
export class Realtime {
  #stop = new AbortController();
  #socket = null;
  #ready = false;
  #finish = null; // ends the connection that is open now

  constructor({ token, onEvent, onStatus }) {
    this.token = token;
    this.onEvent = onEvent;
    this.onStatus = onStatus;
  }

  /** Whether events may be sent: `session.created` has come and the line is open. */
  get ready() {
    return this.#ready;
  }

  /** Sends a client event; says whether it could. */
  send(event) {
    if (!this.#ready) return false;
    this.#socket.send(JSON.stringify(event));
    return true;
  }

  /** Connects, again and again, until `stop()` or until a token is needed. */
  async run() {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt += 1) {
      this.onStatus({ kind: "connecting" });
      const ending = await this.#converse();
      if (this.#stop.signal.aborted) return;
      if (ending.kind === "token") return this.onStatus(ending);
      if (ending.met) attempt = 0;
      const wait = ending.kind === "full" ? FULL_HOUSE_WAIT : BACKOFF[Math.min(attempt, BACKOFF.length - 1)];
      this.onStatus({ ...ending, wait });
      await this.#sleep(wait);
    }
  }

  stop() {
    this.#stop.abort();
    this.#finish?.({ kind: "gone" });
  }

  /** One connection from beginning to end; resolves to why it ended, `met` if the session had begun. */
  async #converse() {
    // A browser does not tell a script why a WebSocket was refused, so ask by HTTP first.
    let answer;
    try {
      const limit = AbortSignal.timeout(HANDSHAKE_LIMIT * 1000);
      answer = await askModels(this.token, AbortSignal.any([this.#stop.signal, limit]));
    } catch {
      return { kind: "gone" }; // no answer at all: that is the only thing fetch throws for here
    }
    if (answer.status === 401) return { kind: "token" };
    const body = await answer.json().catch(() => ({})); // a proxy before the server may answer anything
    if (!answer.ok || !body.data) {
      return { kind: "refused", message: body.error?.message ?? `it answered ${answer.status} to /v1/models` };
    }
    if (this.#stop.signal.aborted) return { kind: "gone" };
    return new Promise((resolve) => this.#open(body.data[0], resolve));
  }

  #open(model, resolve) {
    const url = new URL("v1/realtime?model=duologue", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    const protocols = ["realtime", ...(this.token ? [`openai-insecure-api-key.${this.token}`] : [])];
    const socket = new WebSocket(url, protocols);
    this.#socket = socket;
    let met = false;
    let refusal = null;

    const finish = (ending) => {
      clearTimeout(handshake);
      clearInterval(watch);
      this.#ready = false;
      this.#finish = null;
      socket.onmessage = socket.onclose = null;
      socket.close();
      resolve({ ...ending, met });
    };
    this.#finish = finish;
    const handshake = setTimeout(() => finish({ kind: "gone" }), HANDSHAKE_LIMIT * 1000);
    const watch = setInterval(() => socket.bufferedAmount > STALLED && finish({ kind: "gone" }), 1000);

    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === "session.created") {
        clearTimeout(handshake);
        met = this.#ready = true;
        this.onStatus({ kind: "open", model });
      } else if (event.type === "error" && !met) {
        refusal = event.error;
        return;
      }
      this.onEvent(event);
    };
    socket.onclose = () => {
      if (refusal?.code === "session_limit_reached") finish({ kind: "full", message: refusal.message });
      else if (refusal) finish({ kind: "refused", message: refusal.message });
      else finish({ kind: met ? "gone" : "refused", message: "the server closed the connection at once" });
    };
  }

  #sleep(seconds) {
    return new Promise((resolve) => {
      setTimeout(resolve, seconds * 1000);
      this.#stop.signal.addEventListener("abort", resolve, { once: true });
    });
  }
}
