/** Deleting a conversation. */

import { json } from "../api/http";
import { client, courses } from "../api/queries";
import type { Course } from "../api/types";
import { soon } from "./regret";
import { tell } from "./tabs";

export interface Deletion {
  course: Course;
  undo: () => void;
}

/** Delete `course` soon; `over` is called when that is done, or has failed. */
export function deleteSoon(course: Course, over: () => void): Deletion {
  return { course, undo: soon(() => clear(course), over) };
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
