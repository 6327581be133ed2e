/**
 * `/twinspeak.js`: shows a digital twin on a page of another site. `window.twinspeak` is ours; `window.pria`,
 * `window.priasdk` and `window.PriaIntegration` do the same for pages written for the documented system.
 */

import type { Command } from "../embed/protocol";
import { Frame, style } from "./frame";
import { launchOf } from "./launch";
import type { Display, Listener, Options, User } from "./types";

const DOCUMENTED = new Set(["post.message", "assistants.list", "convo.start", "convo.stop"]);
const script = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : "";

let options: Options | null = null;
let base = "";
let frame: Frame | null = null;
let button: HTMLButtonElement | null = null;
let visible = false;
let ready: Expected | null = null;

interface Expected {
  promise: Promise<void>;
  done: () => void;
  failed: (error: Error) => void;
}

const listeners = new Set<Listener>();

/**
 * Show a twin's button, and the twin once it is wanted. Resolves when it is connected; rejects when it is refused, when
 * the browser does not show it, and when it is taken away before that.
 */
function load(given: Options): Promise<void> {
  if (!given.twin) return Promise.reject(new Error("`twin` must be a digital twin's public id."));
  destroy();
  options = given;
  base = new URL(given.base || script || location.href, location.href).origin;
  ready = expected();
  const display = given.display ?? {};
  if (!display.noUI) button = makeButton(display, given.picture);
  if (display.openOnLoad || display.noUI) setVisible(!display.noUI);
  return ready.promise;
}

/** Show or hide the twin; its frame is made when it is first wanted, for then somebody comes. */
function setVisible(wanted: boolean): void {
  if (!options) return;
  frame ??= new Frame(base, options.twin, options.display ?? {}, {
    launch: () => launchOf(base, options as Options),
    onClose: () => {
      setVisible(false);
      button?.focus();
    },
    onReady: () => ready?.done(),
    onRefused: (code) => ready?.failed(new Error(code)),
  });
  visible = wanted;
  frame.show(wanted);
  button?.setAttribute("aria-expanded", String(wanted));
}

/** Have the twin do something; listeners are told what came of it. Throws when it is not connected, or not JSON. */
function send(command: Command | string): void {
  const wanted = (typeof command === "string" ? JSON.parse(command) : command) as Command;
  if (typeof wanted.command !== "string") throw new Error("A command is an object with the text `command`.");
  if (!frame?.connected) throw new Error("The digital twin is not connected.");
  const type = DOCUMENTED.has(wanted.command) ? "pria-response" : "twinspeak-response";
  void frame.command(wanted).then((response) => {
    for (const listener of listeners) listener({ type, response, version: 1 });
  });
}

function destroy(): void {
  frame?.destroy();
  button?.remove();
  ready?.failed(new Error("destroyed"));
  [frame, button, options, visible, ready] = [null, null, null, false, null];
}

const twinspeak = {
  load,
  send,
  /** Ask the twin; resolves with the answer, rejects with an Error whose message is a code. */
  async ask(inputs: string | string[], more: Omit<Command, "command" | "inputs"> = {}): Promise<unknown> {
    if (!frame) throw new Error("The digital twin is not connected.");
    const texts = typeof inputs === "string" ? [inputs] : inputs;
    const { content, isError } = await frame.command({ ...more, command: "ask", inputs: texts });
    if (isError) throw new Error((content as { code: string }).code);
    return content;
  },
  subscribe: (listener: Listener) => void listeners.add(listener),
  unsubscribe: (listener: Listener) => void listeners.delete(listener),
  setVisible,
  display: () => setVisible(!visible),
  isReady: () => frame?.connected ?? false,
  destroy,
};

export type Twinspeak = typeof twinspeak;

/** As the documented system is loaded: by position, with its own names for what is ours. */
function documented(at: string, user: User, twin: string | undefined, picture?: string, display?: PriaDisplay): void {
  if (twin === undefined) return;
  const { priaContainerId, ...same } = display ?? {};
  const named = priaContainerId ? { ...same, containerId: priaContainerId } : same;
  load({ base: at, twin, user, display: named, ...(picture ? { picture } : {}) }).catch((error: unknown) => {
    // eslint-disable-next-line no-console -- whoever builds the site looks there
    console.warn("The digital twin is not shown:", error);
  });
}

type PriaDisplay = Display & { priaContainerId?: string };

interface Integration {
  publicId?: string;
  pictureUrl?: string;
}

Object.assign(window, {
  twinspeak,
  pria: twinspeak,
  priasdk: documented,
  PriaIntegration: {
    loadSdk: (at: string, display: PriaDisplay, { publicId, pictureUrl }: Integration = {}, user: User = {}) =>
      documented(at, user, publicId, pictureUrl, display),
    destroySdk: destroy,
  },
});

function makeButton(display: Display, picture?: string): HTMLButtonElement {
  const made = document.createElement("button");
  const size = display.buttonWidth ?? "64px";
  made.type = "button";
  made.setAttribute("aria-label", display.title ?? "Digital twin");
  made.setAttribute("aria-expanded", "false");
  style(made, {
    position: display.buttonPosition ?? "fixed",
    right: display.buttonPositionRight ?? "20px",
    bottom: display.buttonPositionBottom ?? "20px",
    width: size,
    height: size,
    padding: "0",
    border: "0",
    borderRadius: "50%",
    background: "#2f6154",
    color: "#fff",
    cursor: "pointer",
    overflow: "hidden",
    boxShadow: "0 4px 18px rgba(0, 0, 0, 0.25)",
    zIndex: "2147483000",
  });
  const image = document.createElement("img");
  image.alt = "";
  image.src = picture || `${base}/favicon.svg`;
  style(image, { width: "100%", height: "100%", objectFit: "cover", display: "block" });
  made.append(image);
  made.addEventListener("click", () => setVisible(!visible));
  const container = display.buttonContainerId ? document.getElementById(display.buttonContainerId) : null;
  (container ?? document.body).append(made);
  return made;
}

function expected(): Expected {
  const made: Partial<Expected> = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { done: resolve, failed: reject }));
  return made as Expected;
}
