/** The connection to the server: the door, the WebSocket, and coming back after it was lost. */

import { PROTOCOL, unpackFrame, type Frame, type Welcome, type Words } from "./protocol";

export type State = "connecting" | "connected" | "lost" | "refused" | "full" | "version";

export interface Listener {
  onState(state: State, reason: string): void;
  onWords(words: Words): void;
  onFrame(frame: Frame): Promise<void>;
}

const RETRY_MS = [250, 500, 1000, 2000, 4000];
const TRY_LATER = 1013;

export class Connection {
  session = "";
  private socket: WebSocket | null = null;
  private tries = 0;
  private drawing: Promise<void> = Promise.resolve();

  constructor(private readonly listener: Listener) {}

  /** Use the key in the address, if there is one, then connect. */
  async open(): Promise<void> {
    this.listener.onState("connecting", "");
    const key = new URLSearchParams(location.hash.slice(1)).get("key");
    if (key !== null) {
      history.replaceState(null, "", "/");
      await fetch("/enter", { method: "POST", body: JSON.stringify({ key }) }).catch(() => null);
    }
    await this.connect();
  }

  /** Send an order; one that is made while there is no connection is lost. */
  order(told: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(told));
  }

  private async connect(): Promise<void> {
    const door = await fetch("/ready").catch(() => null);
    if (door?.status === 401) return this.listener.onState("refused", "");
    if (door === null || !door.ok) return this.later("");
    const socket = new WebSocket(`ws://${location.host}/play`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ do: "hello", session: this.session }));
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.receive(event.data);
    socket.onclose = (event) => {
      this.socket = null;
      if (event.code === TRY_LATER) this.listener.onState("full", event.reason);
      this.later(event.code === TRY_LATER ? event.reason : "");
    };
    this.socket = socket;
  }

  private receive(data: string | ArrayBuffer): void {
    if (typeof data === "string") {
      const words = JSON.parse(data) as Words;
      if (words.kind === "welcome") this.welcomed(words);
      this.listener.onWords(words);
      return;
    }
    const frame = unpackFrame(data);
    this.drawing = this.drawing
      .then(() => this.listener.onFrame(frame))
      .finally(() => this.order({ do: "seen", frame: frame.about.frame }));
  }

  private welcomed(words: Welcome): void {
    this.session = words.session;
    this.tries = 0;
    this.listener.onState(words.protocol === PROTOCOL ? "connected" : "version", "");
  }

  private later(reason: string): void {
    if (!reason) this.listener.onState("lost", "");
    setTimeout(() => void this.connect(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }
}
