/** What this page brings into vaults: files that are sent, and addresses that the server fetches. */

import { useSyncExternalStore } from "react";
import { ApiError, json } from "../api/http";
import { client, session } from "../api/queries";
import { randomId } from "../live/ids";
import { sendFile } from "./sending";

/** How many are sent at once: enough to fill a line, few enough to see the first of many soon. */
const AT_ONCE = 2;
/** How often somebody who is in too much of a hurry is told to wait, before it is an error. */
const PATIENCE = 5;
const LONGEST_WAIT_S = 60;

export interface Trouble {
  code: string;
  message: string;
}

export interface Upload {
  key: string;
  name: string;
  state: "waiting" | "sending" | "kept" | "failed";
  /** How much has been sent, from 0 to 1; null where that cannot be known. */
  share: number | null;
  uploadId: string | null;
  duplicate: boolean;
  trouble: Trouble | null;
}

type Source = { file: File } | { url: string };

interface Job {
  source: Source;
  twin: string | null;
  call: AbortController;
}

let uploads: readonly Upload[] = [];
const jobs = new Map<string, Job>();
const listeners = new Set<() => void>();
let running = 0;

/** Bring files into the own vault, or into that of `twin` (an id). */
export function bring(files: Iterable<File>, twin: string | null = null): void {
  for (const file of files) add(file.name, { file }, twin);
  next();
}

/** Bring what is at an address of the web. */
export function bringAddress(url: string, twin: string | null = null): void {
  add(url, { url }, twin);
  next();
}

/** Say of something that came that it cannot be taken. */
export function refuse(name: string, code: string): void {
  const key = add(name, { url: "" }, null);
  settle(key, { state: "failed", trouble: { code, message: "" } });
}

/** Stop sending, or take what has settled out of sight. */
export function dismiss(key: string): void {
  jobs.get(key)?.call.abort();
  jobs.delete(key);
  uploads = uploads.filter((one) => one.key !== key);
  tell();
}

export function retry(key: string): void {
  const job = jobs.get(key);
  if (!job) return;
  job.call = new AbortController();
  settle(key, { state: "waiting", share: 0, trouble: null });
  next();
}

/** Whoever brought it is gone. */
export function forgetAll(): void {
  for (const job of jobs.values()) job.call.abort();
  jobs.clear();
  uploads = [];
  tell();
}

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => uploads,
  );
}

function add(name: string, source: Source, twin: string | null): string {
  const key = randomId();
  jobs.set(key, { source, twin, call: new AbortController() });
  const share = "file" in source ? 0 : null;
  uploads = [...uploads, { key, name, state: "waiting", share, uploadId: null, duplicate: false, trouble: null }];
  tell();
  return key;
}

function settle(key: string, change: Partial<Upload>): void {
  uploads = uploads.map((one) => (one.key === key ? { ...one, ...change } : one));
  tell();
}

function next(): void {
  while (running < AT_ONCE) {
    const waiting = uploads.find((one) => one.state === "waiting");
    const job = waiting && jobs.get(waiting.key);
    if (!waiting || !job) return;
    running += 1;
    settle(waiting.key, { state: "sending" });
    void run(waiting.key, job).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function run(key: string, job: Job): Promise<void> {
  const { signal } = job.call;
  try {
    const { uploadId, duplicate } = await patiently(() => bringOne(key, job), signal);
    settle(key, { state: "kept", share: 1, uploadId, duplicate });
    void client.invalidateQueries({ queryKey: ["files"] });
  } catch (error) {
    if (signal.aborted) return;
    const { code, message } = error instanceof ApiError ? error : { code: "unreachable", message: "" };
    settle(key, { state: "failed", trouble: { code, message } });
  }
}

async function bringOne(key: string, { source, twin, call }: Job): Promise<{ uploadId: string; duplicate: boolean }> {
  if ("url" in source) {
    const body = { url: source.url, ...(twin ? { institution: twin } : {}) };
    return await json("/api/user/url", { method: "POST", body, signal: call.signal });
  }
  const most = client.getQueryData(session.queryKey)?.maxFileBytes;
  // The server would hang up on much too large a body, and a browser tells nothing of that but that it failed.
  if (typeof most === "number" && source.file.size > most) throw new ApiError("payload_too_large", 413, "");
  return await sendFile(source.file, twin, { signal: call.signal, onShare: (share) => settle(key, { share }) });
}

/** Do something, and again after as long as the server says when it was too much at once. */
async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let times = 0; ; times += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 429 || times === PATIENCE) throw error;
      await pause(Math.min(error.retryAfterS ?? 1, LONGEST_WAIT_S) * 1000, signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("", "AbortError"));
    });
  });
}

function tell(): void {
  for (const listener of listeners) listener();
}
