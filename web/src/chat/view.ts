/** A turn as it is shown, whether it comes from history or is still coming. */

import type { Source, TurnRecord } from "../api/types";
import { ended, type Failure, isPlaced, type LiveTurn, type Status, type Step } from "../live/turn";

export interface TurnView {
  /** Stays the same from the question to the record. */
  key: string;
  turnId: string | null;
  question: string;
  text: string;
  status: Status;
  stopping: boolean;
  steps: Step[];
  /** Reasoning that is kept on the server and not here. */
  keptThinking: boolean;
  sources: Source[];
  failure: Failure | null;
  model: string;
  credits: number;
  durationMs: number;
  truncated: boolean;
  moderated: boolean;
  thumb: string;
  favourite: boolean;
  /** Whether this is how history has it. */
  saved: boolean;
  /** Where it stands, as the server says it: what it follows, and in whose place. `branched`: it follows just that. */
  parentId: string | null;
  replacesId: string | null;
  branched: boolean;
  /** Which of how many versions it is of a question at its place, and the ids of those beside it. */
  version: number;
  versions: number;
  previous: string | null;
  next: string | null;
}

const ALONE = { version: 1, versions: 1, previous: null, next: null };

/** Return what to show of a conversation: its records, and the turns that are followed in place of their records. */
export function merge(records: TurnRecord[], live: LiveTurn[]): TurnView[] {
  const byId = new Map(live.map((turn) => [turn.turnId, turn]));
  const saved = new Set(records.map((record) => record.id));
  const views = records.map((record) => {
    const turn = byId.get(record.id);
    return turn ? joined(turn, record) : ofRecord(record);
  });
  return [...views, ...live.filter((turn) => turn.turnId === null || !saved.has(turn.turnId)).map(ofLive)];
}

export function ofLive(turn: LiveTurn): TurnView {
  return {
    key: turn.key,
    turnId: turn.turnId,
    question: turn.question,
    text: turn.text,
    status: turn.status,
    stopping: turn.stopping && !ended(turn),
    steps: turn.steps,
    keptThinking: false,
    sources: turn.sources,
    failure: turn.failure,
    model: turn.reply?.model ?? "",
    credits: turn.reply?.credits ?? 0,
    durationMs: turn.reply?.query_duration_ms ?? 0,
    truncated: turn.reply?.truncated ?? false,
    moderated: turn.reply?.moderated ?? false,
    thumb: "",
    favourite: false,
    saved: false,
    ...turn.place,
    branched: isPlaced(turn.place),
    ...ALONE,
  };
}

const STATES: Record<TurnRecord["state"], Status> = {
  done: "done",
  cancelled: "cancelled",
  failed: "failed",
  refused: "failed",
  interrupted: "interrupted",
  running: "reconnecting",
};

export function ofRecord(record: TurnRecord): TurnView {
  const failure = record.error && {
    ...{ code: record.error.code, status: 0, message: record.error.message },
    ...{ retryAfterS: null, requestId: "" },
  };
  return {
    key: record.id,
    turnId: record.id,
    question: record.in.input,
    text: record.out.output,
    status: STATES[record.state],
    stopping: false,
    steps: record.tools.map((tool) => ({
      kind: "tool",
      id: tool.id,
      name: tool.name,
      label: "",
      arguments: tool.arguments,
      response: tool.response,
      success: tool.success,
      startedAt: 0,
      durationMs: tool.responseDurationMs,
    })),
    keptThinking: record.hasThinking,
    sources: record.sources,
    failure,
    model: record.conversation_model,
    credits: record.credits,
    durationMs: record.query_duration_ms,
    truncated: record.truncated,
    moderated: record.moderated,
    thumb: record.thumbUpDown,
    favourite: record.favorite,
    saved: true,
    parentId: record.parentId,
    replacesId: record.replacesId,
    branched: record.branched,
    ...ALONE,
  };
}

/** A followed turn that has been saved: what was seen of it, and what the record says became of it. */
function joined(turn: LiveTurn, record: TurnRecord): TurnView {
  const view = ofLive(turn);
  if (!ended(turn) || record.state === "running") return view;
  const kept = ofRecord(record);
  const own = { key: turn.key, question: turn.question, text: turn.text || kept.text };
  return { ...kept, ...own, failure: turn.failure ?? kept.failure, ...(turn.steps.length > 0 ? seen(turn) : {}) };
}

function seen(turn: LiveTurn): Partial<TurnView> {
  return { steps: turn.steps, keptThinking: false };
}
