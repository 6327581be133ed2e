/**
 * Requests to our own server: the cookie says who asks, the CSRF token that this page does. In a frame of another site
 * there is no cookie to rely on, and a token says both.
 */

export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly retryAfterS: number | null;
  readonly requestId: string;

  constructor(code: string, status: number, message: string, retryAfterS: number | null = null, requestId = "") {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
    this.requestId = requestId;
  }

  /** Whether asking again later may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500 || this.code === "conflict";
  }
}

let csrfToken = "";
let renew: (() => Promise<void>) | null = null;
let onSignedOut: (() => void) | null = null;

/** `renewal` reads the session again, which tells the CSRF token that holds now; `signedOut` is told of a 401. */
export function guard(renewal: () => Promise<void>, signedOut: () => void): void {
  renew = renewal;
  onSignedOut = signedOut;
}

export function takeCsrfToken(token: string): void {
  csrfToken = token;
}

let token = "";

/** Speak with a token that this page alone has, and with no cookie; "": by the cookie, as pages of our own do. */
export function speakFor(given: string): void {
  token = given;
}

export function ownToken(): string {
  return token;
}

/** What shows with a request who asks, or that this page asks for it. */
export function proof(method: string): Record<string, string> {
  if (token) return { "x-access-token": token };
  return method !== "GET" && csrfToken ? { "x-csrf-token": csrfToken } : {};
}

/** Whether a refusal has been met by reading the session anew, so that the same may be asked again. */
export async function mended(error: ApiError): Promise<boolean> {
  // Another tab signed in anew: the cookie is the new session's, and so must the token be.
  if (error.code === "csrf_failed" && renew) {
    await renew();
    return true;
  }
  if (error.status === 401) onSignedOut?.();
  return false;
}

export interface Sent {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Whether a 401 is told to the page; not while somebody signs in. */
  quiet?: boolean;
  /** Whether it goes on when the page is left. */
  lasting?: boolean;
}

/** Send a request; return its response, whatever the body is. Throws ApiError; status 0 means that nobody answered. */
export async function send(path: string, sent: Sent = {}): Promise<Response> {
  const response = await once(path, sent);
  if (response.ok) return response;
  const error = await failure(response);
  if (sent.quiet && error.status === 401) throw error;
  if (!(await mended(error))) throw error;
  const again = await once(path, sent);
  if (again.ok) return again;
  throw await failure(again);
}

export async function json<T>(path: string, sent: Sent = {}): Promise<T> {
  return (await (await send(path, sent)).json()) as T;
}

async function once(path: string, { method = "GET", body, headers = {}, signal, lasting }: Sent): Promise<Response> {
  const all: Record<string, string> = { ...headers, ...proof(method) };
  if (body !== undefined) all["content-type"] = "application/json";
  try {
    return await fetch(path, {
      method,
      headers: all,
      credentials: token ? "omit" : "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      ...(lasting ? { keepalive: true } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("unreachable", 0, "");
  }
}

async function failure(response: Response): Promise<ApiError> {
  return refusal(response.status, response.headers.get("retry-after"), await response.text().catch(() => ""));
}

/** Read a failed answer. */
export function refusal(status: number, retryAfter: string | null, text: string): ApiError {
  const seconds = Number(retryAfter);
  const after = Number.isFinite(seconds) && seconds > 0 ? seconds : null;
  try {
    const body = JSON.parse(text) as { error: { code: string; message: string; requestId?: string } };
    return new ApiError(body.error.code, status, body.error.message, after, body.error.requestId ?? "");
  } catch {
    return new ApiError("unreadable", status, "", after);
  }
}
