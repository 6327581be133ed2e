import { expect, test } from "vitest";
import type { FileRow } from "../api/types";
import { pacing } from "./queries";

function row(phase: string, progress: number): FileRow {
  return {
    _id: "a",
    originalname: "a.txt",
    mimetype: "text/plain",
    filesize: 1,
    created: "",
    status: "selected",
    vault: "personal",
    user: null,
    is_private: false,
    file_url: "",
    chunks: 0,
    ingestion: { phase, progress, error: null },
  };
}

test("nobody looks at what has settled", () => {
  expect(pacing()(undefined, 0)).toBe(false);
  expect(pacing()([row("done", 100), row("error", 100)], 1)).toBe(false);
});

test("looking slows down while nothing moves, is bounded, and is quick again after a move", () => {
  const pace = pacing();
  const waits = Array.from({ length: 12 }, (_, at) => pace([row("queued", 0)], at));
  expect(waits[0]).toBe(700);
  expect(waits[1]).toBeGreaterThan(700);
  expect(waits.at(-1)).toBe(10_000);
  // Asked twice of one look, it says the same.
  expect(pace([row("queued", 0)], 11)).toBe(10_000);
  expect(pace([row("extract", 20)], 12)).toBe(700);
});
