/** One question and its answer while it comes: a state, and what each event makes of it. No I/O in here. */

import type { Frame, Reply, Source } from "../api/types";

export type Status = "sending" | "streaming" | "reconnecting" | "done" | "cancelled" | "interrupted" | "failed";

export interface Thinking {
  kind: "thinking";
  id: string;
  text: string;
  /** What has come since the events began anew; it is shown once it is longer than what is shown already. */
  incoming: string;
  done: boolean;
  startedAt: number;
  durationMs: number | null;
}

export interface Tool {
  kind: "tool";
  id: string;
  name: string;
  label: string;
  arguments: Record<string, unknown> | null;
  response: string | null;
  success: boolean | null;
  startedAt: number;
  durationMs: number | null;
}

export type Step = Thinking | Tool;

export interface Failure {
  code: string;
  status: number;
  message: string;
  retryAfterS: number | null;
  requestId: string;
}

/** Where a question is asked, if not after the newest: after a turn, or in its place (decision 039). */
export interface Place {
  parentId: string | null;
  replacesId: string | null;
}

export const NEWEST: Place = { parentId: null, replacesId: null };

export function isPlaced(place: Place): boolean {
  return place.parentId !== null || place.replacesId !== null;
}

export interface LiveTurn {
  /** The idempotency key of the question; of a turn that another page asked, `turn:` and its id. */
  key: string;
  turnId: string | null;
  courseId: number;
  question: string;
  place: Place;
  status: Status;
  text: string;
  incoming: string;
  steps: Step[];
  sources: Source[];
  reply: Reply | null;
  failure: Failure | null;
  stopping: boolean;
  startedAt: number;
}

export function begin(key: string, courseId: number, question: string, now: number, place = NEWEST): LiveTurn {
  return {
    key,
    turnId: null,
    courseId,
    question,
    place,
    status: "sending",
    text: "",
    incoming: "",
    steps: [],
    sources: [],
    reply: null,
    failure: null,
    stopping: false,
    startedAt: now,
  };
}

export function ended(turn: LiveTurn): boolean {
  return !["sending", "streaming", "reconnecting"].includes(turn.status);
}

/**
 * Return the turn after an event. Events may begin anew at any time (another connection tells the turn from its
 * start): nothing that is shown is ever taken back, because what comes again is never something else.
 */
export function apply(turn: LiveTurn, frame: Frame, now: number): LiveTurn {
  switch (frame.type) {
    case "connected":
      return {
        ...turn,
        turnId: frame.turnId,
        status: "streaming",
        incoming: "",
        steps: turn.steps.map((step) => (step.kind === "thinking" && !step.done ? { ...step, incoming: "" } : step)),
      };
    case "stream": {
      const incoming = turn.incoming + frame.delta;
      const text = incoming.length > turn.text.length ? incoming : turn.text;
      return { ...turn, status: "streaming", incoming, text };
    }
    case "thinking":
      return { ...turn, status: "streaming", steps: thought(turn.steps, frame, now) };
    case "tool_call":
    case "tool_progress":
    case "tool_result":
      return { ...turn, status: "streaming", steps: tooled(turn.steps, frame, now) };
    case "complete":
      return finish(turn, frame);
    case "error":
      return fail(turn, { retryAfterS: null, requestId: "", ...frame.error });
    case "done":
      return turn;
  }
}

export function finish(turn: LiveTurn, reply: Reply): LiveTurn {
  const status = !reply.cancelled ? "done" : turn.stopping ? "cancelled" : "interrupted";
  const text = reply.outputs.join("\n\n");
  return { ...turn, turnId: reply.turnId, status, text, incoming: text, sources: reply.sources, reply, failure: null };
}

export function fail(turn: LiveTurn, failure: Failure): LiveTurn {
  return { ...turn, status: "failed", failure };
}

function thought(steps: Step[], frame: Extract<Frame, { type: "thinking" }>, now: number): Step[] {
  const id = `round-${frame.round}`;
  const known = steps.find((step): step is Thinking => step.kind === "thinking" && step.id === id);
  if (known?.done) return steps;
  const before: Thinking = known ?? {
    kind: "thinking",
    id,
    text: "",
    incoming: "",
    done: false,
    startedAt: now,
    durationMs: null,
  };
  const incoming = before.incoming + (frame.delta ?? "");
  const after: Thinking = frame.done
    ? { ...before, text: frame.text ?? before.text, done: true, durationMs: now - before.startedAt }
    : { ...before, incoming, text: incoming.length > before.text.length ? incoming : before.text };
  return upsert(steps, after);
}

type ToolFrame = Extract<Frame, { type: "tool_call" | "tool_progress" | "tool_result" }>;

function tooled(steps: Step[], frame: ToolFrame, now: number): Step[] {
  const known = steps.find((step): step is Tool => step.kind === "tool" && step.id === frame.call_id);
  const before: Tool = known ?? {
    kind: "tool",
    id: frame.call_id,
    name: "name" in frame ? frame.name : "",
    label: "",
    arguments: null,
    response: null,
    success: null,
    startedAt: now,
    durationMs: null,
  };
  if (frame.type === "tool_result") {
    const { response, success, responseDurationMs } = frame;
    return upsert(steps, { ...before, response, success, durationMs: responseDurationMs });
  }
  const label = frame.displayInfo.label || before.label;
  const given = frame.type === "tool_call" ? frame.arguments : before.arguments;
  return upsert(steps, { ...before, label, arguments: given });
}

function upsert(steps: Step[], step: Step): Step[] {
  const at = steps.findIndex((each) => each.kind === step.kind && each.id === step.id);
  return at < 0 ? [...steps, step] : steps.with(at, step);
}
