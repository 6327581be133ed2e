/** The one document that a conversation asks about, until it is told to ask about all again. */

import { useSyncExternalStore } from "react";

export interface About {
  id: string;
  name: string;
}

const chosen = new Map<number | null, About>();
const listeners = new Set<() => void>();

/** Ask about `about` in a conversation (null: the one that begins with the next question); null: about everything. */
export function askAbout(courseId: number | null, about: About | null): void {
  if (about) chosen.set(courseId, about);
  else chosen.delete(courseId);
  tell();
}

/** Return what a conversation asks about. */
export function aboutOf(courseId: number | null): About | undefined {
  return chosen.get(courseId);
}

/** The conversation that was new has its number now. */
export function begun(courseId: number): void {
  const about = chosen.get(null);
  chosen.delete(null);
  if (about) chosen.set(courseId, about);
}

/** Ask about everything again wherever a document was meant: it is gone, or who asked is. */
export function forgetAbout(id?: string): void {
  for (const [course, about] of chosen) if (id === undefined || about.id === id) chosen.delete(course);
  tell();
}

export function useAbout(courseId: number | null): About | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => chosen.get(courseId),
  );
}

function tell(): void {
  for (const listener of listeners) listener();
}
