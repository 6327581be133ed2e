/** What is deleted can be regretted for a while. Leaving the page, or deleting something else, means it. */

const REGRET_MS = 7000;

let act: (() => void) | null = null;

/** Do `work` soon, unless that is taken back by what this returns; `over` is told when it is done, or why it is not. */
export function soon(work: () => Promise<void>, over: (failure?: unknown) => void): () => void {
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
    void work().then(() => over(), over);
  }
  return end;
}
