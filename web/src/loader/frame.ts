/** The frame: made, shown and hidden, and spoken with. Only its own window, at the server's origin, is listened to. */

import type { Answer, Command, FromFrame, Launch, ToFrame } from "../embed/protocol";
import type { Display } from "./types";

/** How long a frame may take to say its first word: a browser that refuses to show it tells nobody. */
const FIRST_WORD_MS = 15_000;
/** How long it may take from there until somebody is let in. */
const LET_IN_MS = 30_000;

export interface Hooks {
  /** Who comes; a refusal is an Error whose message is a code. */
  launch: () => Promise<Launch>;
  onClose: () => void;
  onReady: () => void;
  onRefused: (code: string) => void;
}

/** Everything that is sent to one frame. Styles are set one by one: a site's policy may forbid written ones. */
export class Frame {
  readonly box: HTMLElement;
  private readonly frame: HTMLIFrameElement;
  private readonly pending = new Map<number, (answer: Answer) => void>();
  private last = 0;
  private timer = 0;
  private readonly heard = (event: MessageEvent<unknown>) => {
    if (event.source === this.frame.contentWindow && event.origin === this.origin && ours(event.data))
      this.take(event.data);
  };
  connected = false;

  constructor(
    private readonly origin: string,
    twin: string,
    display: Display,
    private readonly hooks: Hooks,
  ) {
    this.frame = document.createElement("iframe");
    this.frame.src = `${origin}/embed/${encodeURIComponent(twin)}`;
    this.frame.title = display.title ?? "Digital twin";
    this.frame.allow = "clipboard-write";
    this.frame.referrerPolicy = "strict-origin";
    style(this.frame, { border: "0", width: "100%", height: "100%", display: "block", colorScheme: "normal" });
    const container = display.containerId ? document.getElementById(display.containerId) : null;
    this.box = container ?? document.createElement("div");
    if (!container) {
      style(this.box, display.fullScreen ? FULL : CORNER);
      document.body.append(this.box);
    }
    this.box.append(this.frame);
    window.addEventListener("message", this.heard);
    this.within(FIRST_WORD_MS, "frame_refused");
  }

  show(visible: boolean): void {
    this.box.style.display = visible ? "block" : "none";
    if (visible) this.frame.focus();
  }

  /** Have the frame do something. Throws when it is not connected. */
  async command(command: Command): Promise<Answer> {
    if (!this.connected) throw new Error("The digital twin is not connected.");
    const id = (this.last += 1);
    this.post({ twinspeak: 1, type: "command", id, command });
    return await new Promise((resolve) => this.pending.set(id, resolve));
  }

  destroy(): void {
    window.removeEventListener("message", this.heard);
    clearTimeout(this.timer);
    this.frame.remove();
    if (!this.box.id) this.box.remove();
    this.pending.clear();
    this.connected = false;
  }

  /** Have it refused unless something happens in time. */
  private within(ms: number, code: string): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.hooks.onRefused(code), ms);
  }

  private take(message: FromFrame): void {
    if (message.type !== "answer" && message.type !== "close") clearTimeout(this.timer);
    if (message.type === "ready") void this.introduce();
    else if (message.type === "close") this.hooks.onClose();
    else if (message.type === "refused") this.hooks.onRefused(message.code);
    else if (message.type === "connected") {
      this.connected = true;
      this.hooks.onReady();
    } else {
      this.pending.get(message.id)?.(message.answer);
      this.pending.delete(message.id);
    }
  }

  private async introduce(): Promise<void> {
    this.connected = false;
    this.within(LET_IN_MS, "silent");
    try {
      this.post({ twinspeak: 1, type: "launch", launch: await this.hooks.launch() });
    } catch (error) {
      this.post({ twinspeak: 1, type: "no-launch", code: error instanceof Error ? error.message : "unreachable" });
    }
  }

  private post(message: ToFrame): void {
    this.frame.contentWindow?.postMessage(message, this.origin);
  }
}

const CORNER = {
  position: "fixed",
  right: "20px",
  bottom: "110px",
  width: "min(420px, calc(100vw - 40px))",
  height: "min(680px, calc(100vh - 130px))",
  borderRadius: "16px",
  overflow: "hidden",
  boxShadow: "0 12px 48px rgba(0, 0, 0, 0.28)",
  zIndex: "2147483000",
};
const FULL = { position: "fixed", inset: "0", zIndex: "2147483000" };

export function style(element: HTMLElement, given: Partial<CSSStyleDeclaration>): void {
  Object.assign(element.style, given);
}

function ours(data: unknown): data is FromFrame {
  return typeof data === "object" && data !== null && (data as { twinspeak?: unknown }).twinspeak === 1;
}
