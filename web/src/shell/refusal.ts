import { ApiError } from "../api/http";
import { type Key, t } from "../i18n";

/** What is refused often, in the reader's language; of anything else the server's own words are shown. */
const KNOWN: Record<string, Key> = {
  invalid_credentials: "error.credentials",
  invalid_code: "error.code",
  sign_up_closed: "error.signUpClosed",
};

/** What to tell somebody whose sign-in did not work. */
export function said(failure: unknown): string {
  if (!(failure instanceof ApiError)) return t("error.generic");
  if (failure.status === 0) return t("error.unreachable");
  if (failure.status === 429) return t("error.waitNext", { seconds: failure.retryAfterS ?? 60 });
  const known = KNOWN[failure.code];
  return known ? t(known) : failure.message || t("error.generic");
}
