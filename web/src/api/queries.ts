/** What the page reads of the server, and how long it believes it. */

import { QueryClient, queryOptions } from "@tanstack/react-query";
import { ApiError, guard, json, takeCsrfToken } from "./http";
import type { Assistant, Challenge, Course, Membership, Profile, Session, Source, TurnRecord } from "./types";

export const PAGE = 30;
/** How many exchanges are read at once. */

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      retry: (count, error) => count < 3 && error instanceof ApiError && error.passing,
      refetchOnWindowFocus: true,
    },
  },
});

export const session = queryOptions({
  queryKey: ["session"],
  queryFn: async () => remember(await json<Session>("/api/session", { quiet: true })),
  staleTime: 5 * 60_000,
});

export const courses = queryOptions({
  queryKey: ["courses"],
  queryFn: async () => (await json<{ data: Course[] }>("/api/user/courses", { method: "POST", body: {} })).data,
});

export const memberships = queryOptions({
  queryKey: ["memberships"],
  queryFn: async () =>
    (await json<{ entitlements: Membership[] }>("/api/user/refresh/entitlements", { method: "POST", body: {} }))
      .entitlements,
  staleTime: 5 * 60_000,
});

export const assistants = queryOptions({
  queryKey: ["assistants"],
  queryFn: async () => (await json<{ data: Assistant[] }>("/api/user/assistants", { method: "POST", body: {} })).data,
  staleTime: 5 * 60_000,
});

/** Oldest first. */
export const favourites = queryOptions({
  queryKey: ["favourites"],
  queryFn: async () => (await json<{ data: TurnRecord[] }>("/api/user/favorites", { method: "POST", body: {} })).data,
});

/** A page of a conversation, oldest first; `before` is the creation of the oldest one known (epoch milliseconds). */
export async function readTurns(courseId: number, before: number | null): Promise<TurnRecord[]> {
  const body = { course_id: courseId, limit: PAGE, texts: true, ...(before === null ? {} : { before }) };
  return (await json<{ data: TurnRecord[] }>("/api/user/histories", { method: "POST", body })).data;
}

export const SEARCH_PAGE = 20;

/** What was said with all of these words, a page of it, oldest first; `before` as of `readTurns`. */
export async function search(text: string, before: number | null, signal: AbortSignal): Promise<TurnRecord[]> {
  const body = { search: text, limit: SEARCH_PAGE, texts: true, ...(before === null ? {} : { before }) };
  return (await json<{ data: TurnRecord[] }>("/api/user/histories", { method: "POST", body, signal })).data;
}

export const passages = (turnId: string) =>
  queryOptions({
    queryKey: ["passages", turnId],
    queryFn: async () =>
      (await json<{ sources: (Source & { text: string })[] }>(`/api/user/history/${turnId}/sources`)).sources,
    staleTime: Number.POSITIVE_INFINITY,
  });

export interface Thought {
  id: string;
  text: string;
  durationMs: number;
}

export const thinking = (turnId: string) =>
  queryOptions({
    queryKey: ["thinking", turnId],
    queryFn: async () => (await json<{ thinking: Thought[] }>(`/api/user/history/${turnId}/thinking`)).thinking,
    staleTime: Number.POSITIVE_INFINITY,
  });

export async function signIn(email: string, password: string): Promise<Session> {
  return remember(await json<Session>("/api/session", { method: "POST", body: { email, password }, quiet: true }));
}

/** Answer a challenge. Throws ApiError: `invalid_code`, and `second_factor_locked` when there were too many. */
export async function verifyCode(challengeId: string, code: string, trustDevice: boolean): Promise<Session> {
  const body = { challengeId, code, trustDevice };
  return remember(await json<Session>("/api/session/verify", { method: "POST", body, quiet: true }));
}

/** Have a code mailed, by which an account is made. Whether there is one already is not told. Throws ApiError. */
export async function askToSignUp(person: Record<"email" | "password" | "fname" | "lname", string>): Promise<void> {
  await json("/api/auth/signup", { method: "POST", body: person, quiet: true });
}

export async function confirmSignUp(email: string, code: string): Promise<Session> {
  return remember(await json<Session>("/api/session/signup", { method: "POST", body: { email, code }, quiet: true }));
}

/** Have a code mailed, by which a new password is set, if there is such an account; that is not told either. */
export async function askToReset(email: string): Promise<void> {
  await json("/api/auth/resetCode", { method: "POST", body: { email }, quiet: true });
}

export async function setPassword(email: string, resetCode: string, password: string): Promise<void> {
  await json("/api/auth/changePassword", { method: "POST", body: { email, resetCode, password }, quiet: true });
}

/** Sign in with what an organisation said. Throws ApiError. */
export async function finishSso(code: string, state: string): Promise<Session> {
  return remember(await json<Session>("/api/session/sso", { method: "POST", body: { code, state }, quiet: true }));
}

/** Have another code sent; the challenge before is no longer good. */
export async function resendCode(challengeId: string): Promise<Challenge> {
  return await json<Challenge>("/api/auth/mfa-resend", { method: "POST", body: { challengeId }, quiet: true });
}

export async function signOut(): Promise<void> {
  try {
    await json("/api/session", { method: "DELETE", quiet: true });
  } catch (error) {
    // A session that is over already is what was wanted.
    if (!(error instanceof ApiError && error.status === 401)) throw error;
  }
}

/** Give the session another full lifetime once half of it is gone. */
export async function stay(current: Session, lifetimeMs: number): Promise<void> {
  if (current.expires === null || current.expires - Date.now() > lifetimeMs / 2) return;
  client.setQueryData(session.queryKey, remember(await json<Session>("/api/session/refresh", { method: "POST" })));
}

export function start(signedOut: () => void): void {
  guard(async () => {
    await client.query({ ...session, staleTime: 0 });
  }, signedOut);
}

function remember(found: Session): Session {
  takeCsrfToken(found.csrfToken ?? "");
  return found;
}

/** What the person, or the twin that pays, has left. */
export function creditsOf(profile: Profile): number {
  return profile.institution?.poolCredits ? profile.institution.credits : profile.credits;
}
