/**
 * Asking, and never losing the answer. A question goes out over REST with its stream on the page's socket. Whatever
 * breaks after that, the idempotency key finds the same turn again as an event stream, and its cursor goes on from
 * there; a page that was reloaded finds the turns that still run by asking for them.
 */

import { ApiError, json, send } from "../api/http";
import type { Frame, Reply, RunningTurn } from "../api/types";
import { randomId } from "./ids";
import * as socket from "./socket";
import { messages } from "./sse";
import * as store from "./store";
import { apply, begin, ended, fail, finish, type LiveTurn, type Place } from "./turn";

/** Three heartbeats of the server. */
const SILENCE_MS = 45_000;
const FIRST_PAUSE_MS = 400;
const LONGEST_PAUSE_MS = 10_000;

export interface Question {
  courseId: number;
  text: string;
  assistantId?: string | null;
  /** The only document that is to be searched. */
  documentId?: string | null;
  place?: Place;
}

type Ended = (turn: LiveTurn) => void;
let onEnded: Ended = () => undefined;
let onAsked: () => void = () => undefined;

/** Be told of every turn that ends. */
export function whenEnded(listener: Ended): void {
  onEnded = listener;
}

/** Be told of every question of this page whose turn has begun. */
export function whenAsked(listener: () => void): void {
  onAsked = listener;
}

/** Where a turn's frames come from now: those of any other origin are too late, or come twice. */
const bySocket = new Set<string>();
const following = new Map<string, AbortController>();
const questions = new Map<string, Question>();

/** Ask; return the key of the turn in the store. */
export function ask(question: Question): string {
  const key = randomId();
  questions.set(key, question);
  store.put(begin(key, question.courseId, question.text, Date.now(), question.place));
  void run(key, question);
  return key;
}

/** Ask again what could not be asked; return the key of the new turn. */
export function again(key: string): string | null {
  const turn = store.get(key);
  if (!turn) return null;
  store.remove(key);
  return ask(questions.get(key) ?? { courseId: turn.courseId, text: turn.question, place: turn.place });
}

/** End a turn; what there is by then is kept. */
export async function stop(key: string): Promise<void> {
  const turn = store.get(key);
  if (!turn || ended(turn)) return;
  store.put({ ...turn, stopping: true });
  if (turn.turnId) await cancel(turn.turnId);
}

/** Follow the turns that run and are not followed yet: another tab asked them, or this page before it was reloaded. */
export async function pickUp(): Promise<void> {
  const { data } = await json<{ data: RunningTurn[] }>("/api/ai/turns");
  const known = new Set(store.all().map((turn) => turn.turnId));
  for (const running of data) {
    if (running.course_id === null || known.has(running.turnId)) continue;
    if (pending(running)) continue;
    const key = `turn:${running.turnId}`;
    const { parentId, replacesId, branched } = running;
    const place = branched ? { parentId, replacesId } : undefined;
    const turn = begin(key, running.course_id, running.question, Date.parse(running.started), place);
    store.put({ ...turn, turnId: running.turnId, status: "reconnecting" });
    void follow(key);
  }
}

/** Stop following everything; the turns go on. */
export function leave(): void {
  for (const controller of following.values()) controller.abort();
  following.clear();
  bySocket.clear();
  questions.clear();
  socket.close();
  store.clear();
}

/** Whether a turn that runs may be one that this page has just asked and knows no id of yet. */
function pending(running: RunningTurn): boolean {
  return store.all().some((turn) => turn.turnId === null && !ended(turn) && turn.courseId === running.course_id);
}

async function run(key: string, question: Question): Promise<void> {
  const id = await socket.socketId();
  if (id === null) return follow(key);
  bySocket.add(key);
  const call = new AbortController();
  const unwatch = socket.onLost(() => {
    // The call may hang for minutes on a network that is gone. The stream joins the same turn beside it.
    if (bySocket.delete(key)) void follow(key).then(() => call.abort());
  });
  try {
    const reply = await json<Reply>("/api/ai/personal/qanda", {
      method: "POST",
      body: body(question, { socketId: id, streamMode: "delta", extendedEvents: true }),
      headers: { "idempotency-key": key },
      signal: call.signal,
    });
    settle(key, (turn) => finish(turn.turnId === reply.turnId ? turn : { ...turn, steps: [] }, reply));
  } catch (error) {
    if (call.signal.aborted) return;
    if (lost(error)) {
      if (bySocket.delete(key)) await follow(key);
    } else {
      settle(key, (turn) => fail(turn, failureOf(error)));
    }
  } finally {
    unwatch();
    bySocket.delete(key);
  }
}

socket.hear((turnId, frame) => {
  const turn = store.all().find((each) => each.turnId === turnId) ?? (frame.type === "connected" ? next() : undefined);
  if (turn && bySocket.has(turn.key) && !ended(turn)) take(turn.key, frame);
});

/** The question whose turn begins now: the eldest that has none. */
function next(): LiveTurn | undefined {
  return store.all().find((turn) => turn.turnId === null && bySocket.has(turn.key) && !ended(turn));
}

/** Read a turn's events until it ends, however often the connection breaks. */
async function follow(key: string): Promise<void> {
  if (following.has(key)) return;
  const controller = new AbortController();
  const { signal } = controller;
  following.set(key, controller);
  const reading: Reading = { key, cursor: "", pauseMs: FIRST_PAUSE_MS, signal };
  try {
    while (!(await over(reading))) {
      await pause(reading.pauseMs, signal);
      reading.pauseMs = Math.min(reading.pauseMs * 2, LONGEST_PAUSE_MS);
    }
  } finally {
    if (following.get(key) === controller) following.delete(key);
  }
}

interface Reading {
  key: string;
  cursor: string;
  pauseMs: number;
  signal: AbortSignal;
}

/** Read as long as one connection lasts; return whether there is nothing more to read. */
async function over(reading: Reading): Promise<boolean> {
  const { key, signal } = reading;
  try {
    for await (const message of messages(await events(key, reading.cursor, signal), SILENCE_MS)) {
      if (signal.aborted) return true;
      take(key, JSON.parse(message.data) as Frame);
      reading.cursor = message.id;
      reading.pauseMs = FIRST_PAUSE_MS;
      if (isOver(key)) return true;
    }
  } catch (error) {
    if (!signal.aborted && error instanceof ApiError && !lost(error))
      settle(key, (turn) => fail(turn, failureOf(error)));
  }
  if (signal.aborted || isOver(key)) return true;
  const turn = store.get(key);
  if (turn) store.put({ ...turn, status: "reconnecting" });
  return false;
}

function isOver(key: string): boolean {
  const turn = store.get(key);
  return !turn || ended(turn);
}

/** Open the stream of a turn: by its id once that is known, else by asking the same question with the same key. */
function events(key: string, cursor: string, signal: AbortSignal): Promise<Response> {
  const turn = store.get(key);
  if (turn?.turnId) {
    const headers: Record<string, string> = cursor ? { "last-event-id": cursor } : {};
    return send(`/api/ai/turns/${turn.turnId}/events?streamMode=delta`, { headers, signal });
  }
  const question = questions.get(key);
  if (!question) throw new ApiError("not_found", 404, "");
  return send("/api/ai/personal-stream/qanda-stream", {
    method: "POST",
    body: body(question, { resumable: true, streamMode: "delta", extendedEvents: true }),
    headers: { "idempotency-key": key },
    signal,
  });
}

function body(question: Question, args: Record<string, unknown>): unknown {
  return {
    inputs: [question.text],
    requestArgs: {
      ...args,
      selectedCourse: { course_id: question.courseId },
      ...(question.assistantId ? { assistantId: question.assistantId } : {}),
      ...placed(question.place),
      ...(question.documentId ? { selectedUploadIds: [question.documentId] } : {}),
      userISODate: new Date().toISOString(),
      userTimezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    },
  };
}

/** In whose place says what it follows, too. */
function placed(place?: Place): Partial<Place> {
  if (place?.replacesId) return { replacesId: place.replacesId };
  return place?.parentId ? { parentId: place.parentId } : {};
}

function take(key: string, frame: Frame): void {
  const before = store.get(key);
  if (!before) return;
  const after = apply(before, frame, Date.now());
  store.put(after);
  // Somebody pressed stop before anybody knew what to stop.
  if (!before.turnId && after.turnId) onAsked();
  if (after.stopping && !before.turnId && after.turnId) void cancel(after.turnId);
  if (ended(after) && !ended(before)) onEnded(after);
}

function settle(key: string, change: (turn: LiveTurn) => LiveTurn): void {
  const before = store.get(key);
  if (!before || ended(before)) return;
  const after = change(before);
  store.put(after);
  onEnded(after);
}

async function cancel(turnId: string): Promise<void> {
  try {
    await json(`/api/ai/turns/${turnId}/cancel`, { method: "POST" });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Whether the turn may go on without us: nobody answered, a proxy did, or it is being saved elsewhere. */
function lost(error: unknown): boolean {
  if (!(error instanceof ApiError)) return true;
  return (
    error.status === 0 || error.code === "unreadable" || error.code === "conflict" || error.code === "server_stopping"
  );
}

function failureOf(error: unknown): LiveTurn["failure"] & object {
  if (!(error instanceof ApiError))
    return { code: "unreachable", status: 0, message: "", retryAfterS: null, requestId: "" };
  const { code, status, message, retryAfterS, requestId } = error;
  return { code, status, message, retryAfterS, requestId };
}

/** Wait, but no longer than until the network is back. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    }
    window.addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}
