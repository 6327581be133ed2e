/** What a page around may have the frame do, by our names and by those that documented pages use. */

import { ApiError } from "../api/http";
import { assistants, client } from "../api/queries";
import { ask } from "../live/asking";
import type { LiveTurn } from "../live/turn";
import type { Answer, Command } from "./protocol";

const NAMES: Record<string, string> = {
  "post.message": "ask",
  "assistants.list": "assistants",
  ask: "ask",
  assistants: "assistants",
  "conversation.new": "conversation.new",
};

export interface Stage {
  courseId: () => number | null;
  /** Show a conversation; null: a new one. */
  show: (courseId: number | null) => void;
}

type Ending = (turn: LiveTurn) => void;
const waiting = new Map<string, Ending>();

/** Somebody must say that a turn has ended: to be called for every one. */
export function ended(turn: LiveTurn): void {
  waiting.get(turn.key)?.(turn);
  waiting.delete(turn.key);
}

/** Do what is wanted; never throws. */
export async function obey(command: Command, stage: Stage): Promise<Answer> {
  try {
    return answer(command.command, await done(command, stage), false);
  } catch (error) {
    const { code, message } = error instanceof ApiError ? error : { code: "validation_failed", message: "" };
    return answer(command.command, { code, message: message || String(error) }, true);
  }
}

async function done(command: Command, stage: Stage): Promise<unknown> {
  const name = NAMES[command.command];
  if (name === "ask") return await asked(command, stage);
  if (name === "assistants") {
    const found = await client.query({ ...assistants, staleTime: "static" });
    return found.map(({ _id, name: called, description }) => ({ _id, name: called, description }));
  }
  if (name === "conversation.new") {
    stage.show(null);
    return "ok";
  }
  throw new Error(`There is no command ${JSON.stringify(command.command)} here.`);
}

async function asked({ inputs, assistantId, selectedCourse }: Command, stage: Stage): Promise<unknown> {
  const text = textOf(inputs);
  const given = selectedCourse?.course_id ?? 0;
  const courseId = Number.isSafeInteger(given) && given > 0 ? given : (stage.courseId() ?? Date.now());
  const key = ask({ courseId, text, assistantId: typeof assistantId === "string" ? assistantId : null });
  stage.show(courseId);
  const turn = await new Promise<LiveTurn>((resolve) => waiting.set(key, resolve));
  if (turn.failure) throw new ApiError(turn.failure.code, turn.failure.status, turn.failure.message);
  return {
    turnId: turn.turnId,
    course_id: courseId,
    outputs: turn.reply?.outputs ?? [turn.text + turn.incoming],
    cancelled: turn.status === "cancelled",
  };
}

function textOf(inputs: unknown): string {
  const texts: unknown[] = Array.isArray(inputs) ? inputs : [];
  if (texts.length === 0 || !texts.every((one) => typeof one === "string" && one.trim()))
    throw new Error("`inputs` must be a list of texts.");
  return texts.join("\n\n");
}

function answer(command: string, content: unknown, isError: boolean): Answer {
  const type = Array.isArray(content) ? "array" : typeof content === "string" ? "string" : "object";
  return { command, content, type, isError };
}
