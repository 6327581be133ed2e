/** Deleting a conversation can be regretted for a while. Leaving the page, or deleting another one, means it. */

import { json } from "../api/http";
import { client, courses } from "../api/queries";
import type { Course } from "../api/types";
import { tell } from "./tabs";

const REGRET_MS = 7000;

export interface Deletion {
  course: Course;
  undo: () => void;
}

let act: (() => void) | null = null;

/** Delete `course` soon; `over` is called when that is done, or has failed. */
export function deleteSoon(course: Course, over: () => void): Deletion {
  act?.();
  const timer = setTimeout(now, REGRET_MS);
  window.addEventListener("pagehide", now);
  act = now;
  function end(): void {
    clearTimeout(timer);
    window.removeEventListener("pagehide", now);
    if (act === now) act = null;
  }
  function now(): void {
    end();
    void clear(course).finally(over);
  }
  return { course, undo: end };
}

async function clear(course: Course): Promise<void> {
  try {
    await json("/api/user/clearHistory", { method: "POST", body: { course_id: course.course_id }, lasting: true });
    client.removeQueries({ queryKey: ["turns", course.course_id] });
    tell({ type: "changed" });
  } finally {
    await client.invalidateQueries(courses);
  }
}
