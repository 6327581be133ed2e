import { ApiError } from "../api/http";
import { t } from "../i18n";

/** What to tell somebody whose sign-in did not work. */
export function said(failure: unknown): string {
  if (!(failure instanceof ApiError)) return t("error.generic");
  if (failure.status === 0) return t("error.unreachable");
  if (failure.status === 429) return t("error.rateNext", { seconds: failure.retryAfterS ?? 60 });
  return failure.message || t("error.generic");
}
