/** The page around the frame: the only one that is listened to, and the only one that is told anything. */

import type { FromFrame, ToFrame } from "./protocol";

/** Hear what the page around says, if it is one of those that the server lets show this twin; return what ends that. */
export function hear(listener: (message: ToFrame) => void): () => void {
  const heard = ({ source, origin, data }: MessageEvent<unknown>) => {
    if (source !== window.parent || !mayFrame(origin) || !isOurs(data)) return;
    around = origin;
    listener(data);
  };
  window.addEventListener("message", heard);
  return () => window.removeEventListener("message", heard);
}

/** Where the page around is, once it has said something. */
let around: string | null = null;

type Told = FromFrame extends infer One ? (One extends FromFrame ? Omit<One, "twinspeak"> : never) : never;

/** Tell the page around something. Before it has spoken only `ready` may be told, which says nothing. */
export function tell(message: Told): void {
  const target = around ?? (message.type === "ready" ? "*" : null);
  if (target !== null) window.parent.postMessage({ twinspeak: 1, ...message }, target);
}

function mayFrame(origin: string): boolean {
  const named = document.querySelector<HTMLMetaElement>('meta[name="twinspeak-framers"]')?.content.split(" ") ?? [];
  return named.includes("*") || named.includes(origin);
}

function isOurs(data: unknown): data is ToFrame {
  return typeof data === "object" && data !== null && (data as { twinspeak?: unknown }).twinspeak === 1;
}
