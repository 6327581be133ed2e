/** The page's Socket.IO connection: opened with the first need, kept by the library, signed in by the cookie. */

import type { Socket } from "socket.io-client";
import { ownToken } from "../api/http";
import type { Frame } from "../api/types";
import { randomId } from "./ids";

const TAB_KEY = "twinspeak.tab";
/** How long a question waits for the socket before it is asked without. */
const PATIENCE_MS = 2500;

type Hear = (turnId: string, frame: Frame) => void;
type Lost = () => void;

let socket: Socket | null = null;
let opening: Promise<Socket> | null = null;
const hearers = new Set<Hear>();
const losers = new Set<Lost>();

/** Hear every frame of every turn that this socket is sent; return what ends that. */
export function hear(hearer: Hear): () => void {
  hearers.add(hearer);
  return () => hearers.delete(hearer);
}

/** Be told when the connection is lost. */
export function onLost(lost: Lost): () => void {
  losers.add(lost);
  return () => losers.delete(lost);
}

export function open(): Promise<Socket> {
  opening ??= connect();
  return opening;
}

export function close(): void {
  socket?.disconnect();
  socket = null;
  opening = null;
}

/** Return the socket's id, null when there is no connection within a moment. */
export async function socketId(): Promise<string | null> {
  const deadline = new Promise<null>((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));
  const connected = open().then(
    (made) =>
      new Promise<string | null>((resolve) => {
        if (made.connected) resolve(made.id ?? null);
        else made.once("connect", () => resolve(made.id ?? null));
      }),
  );
  return Promise.race([connected.catch(() => null), deadline]);
}

async function connect(): Promise<Socket> {
  const { io } = await import("socket.io-client");
  const made = io({
    path: "/socket.io/",
    transports: ["websocket", "polling"],
    // Called before each connection: the library waits for what it is told, not for what is returned.
    auth: (tell) => tell({ clientId: tab(), ...(ownToken() ? { token: ownToken() } : {}) }),
    reconnectionDelay: 500,
    reconnectionDelayMax: 8000,
  });
  socket = made;
  made.on("RECEIVE_STREAM", (payload: { type: string; turnId: string } & Record<string, unknown>) => {
    const frame = renamed(payload);
    if (frame) for (const hearer of hearers) hearer(payload.turnId, frame);
  });
  made.on("disconnect", () => {
    for (const lost of losers) lost();
  });
  return made;
}

/** Which tab this is: reloading keeps it, so that its own turns come back to it. */
function tab(): string {
  try {
    const known = sessionStorage.getItem(TAB_KEY);
    if (known) return known;
    const made = randomId();
    sessionStorage.setItem(TAB_KEY, made);
    return made;
  } catch {
    return randomId();
  }
}

const NAMES: Record<string, Frame["type"]> = {
  RELOAD: "connected",
  STREAM: "stream",
  THINKING: "thinking",
  TOOL_CALL: "tool_call",
  TOOL_PROGRESS: "tool_progress",
  TOOL_RESULT: "tool_result",
};

function renamed(payload: { type: string }): Frame | null {
  const type = NAMES[payload.type];
  return type ? ({ ...payload, type } as Frame) : null;
}
