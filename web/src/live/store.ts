/** The turns that this page follows. Changes are told once a frame, however many events came in between. */

import { useCallback, useSyncExternalStore } from "react";
import { ended, type LiveTurn } from "./turn";

const turns = new Map<string, LiveTurn>();
const listeners = new Set<() => void>();
const snapshots = new Map<number, LiveTurn[]>();
let told = false;

/** Keep a turn; who shows it hears of it with the next frame, of its beginning and its end at once. */
export function put(turn: LiveTurn): void {
  const before = turns.get(turn.key);
  turns.set(turn.key, turn);
  snapshots.delete(turn.courseId);
  if (!before || ended(turn) || document.hidden) tell();
  else soon();
}

export function get(key: string): LiveTurn | undefined {
  return turns.get(key);
}

export function all(): LiveTurn[] {
  return [...turns.values()];
}

export function remove(key: string): void {
  const turn = turns.get(key);
  if (!turn) return;
  turns.delete(key);
  snapshots.delete(turn.courseId);
  tell();
}

export function clear(): void {
  turns.clear();
  snapshots.clear();
  tell();
}

function soon(): void {
  if (told) return;
  told = true;
  requestAnimationFrame(() => {
    told = false;
    tell();
  });
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function of(courseId: number): LiveTurn[] {
  let found = snapshots.get(courseId);
  if (!found) {
    found = all().filter((turn) => turn.courseId === courseId);
    snapshots.set(courseId, found);
  }
  return found;
}

let running: ReadonlySet<number> = new Set();

/** The conversations in which something is being answered. */
export function useRunningCourses(): ReadonlySet<number> {
  return useSyncExternalStore(subscribe, () => {
    const now = new Set(
      all()
        .filter((turn) => !ended(turn))
        .map((turn) => turn.courseId),
    );
    if (now.size !== running.size || [...now].some((id) => !running.has(id))) running = now;
    return running;
  });
}

/** The followed turns of a conversation, in the order in which they were asked. */
export function useLiveTurns(courseId: number): LiveTurn[] {
  return useSyncExternalStore(
    subscribe,
    useCallback(() => of(courseId), [courseId]),
  );
}
