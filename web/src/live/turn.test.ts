import { expect, test } from "vitest";
import type { Frame, Reply } from "../api/types";
import { apply, begin, ended, finish, type LiveTurn } from "./turn";

const REPLY: Reply = {
  ...{ turnId: "t", outputs: ["Hello there"], model: "m", credits: 1, totalCredits: 2, course_id: 3, course_name: "c" },
  ...{ query_duration_ms: 4, sources: [] },
};
const FRAMES: Frame[] = [
  { type: "connected", turnId: "t" },
  { type: "thinking", round: 0, delta: "Let me " },
  { type: "thinking", round: 0, delta: "see." },
  { type: "thinking", round: 0, text: "Let me see.", done: true },
  { type: "tool_call", call_id: "c", name: "look", arguments: { q: 1 }, displayInfo: { icon: "i", label: "Looking" } },
  { type: "tool_result", call_id: "c", name: "look", response: "found", responseDurationMs: 5, success: true },
  { type: "stream", delta: "Hello " },
  { type: "stream", delta: "there" },
];

function after(frames: Frame[], from: LiveTurn = begin("k", 3, "q", 0)): LiveTurn {
  return frames.reduce((turn, frame) => apply(turn, frame, 10), from);
}

test("events make a turn", () => {
  const turn = after([...FRAMES, { type: "complete", ...REPLY }]);
  expect(turn).toMatchObject({ turnId: "t", text: "Hello there", status: "done" });
  expect(turn.steps).toMatchObject([
    { kind: "thinking", text: "Let me see.", done: true },
    { kind: "tool", label: "Looking", response: "found", success: true },
  ]);
});

test("events that begin anew take nothing back and double nothing, wherever the first ones broke", () => {
  const whole = after(FRAMES);
  for (let broken = 1; broken <= FRAMES.length; broken++) {
    let turn = after(FRAMES.slice(0, broken));
    for (const frame of FRAMES) {
      const next = apply(turn, frame, 10);
      expect(next.text.length).toBeGreaterThanOrEqual(turn.text.length);
      turn = next;
    }
    expect(turn).toEqual(whole);
  }
});

test("a turn that was stopped here is stopped, one that ended otherwise is interrupted", () => {
  const turn = after(FRAMES);
  expect(finish({ ...turn, stopping: true }, { ...REPLY, cancelled: true }).status).toBe("cancelled");
  expect(finish(turn, { ...REPLY, cancelled: true }).status).toBe("interrupted");
  expect(ended(finish(turn, REPLY))).toBe(true);
});
