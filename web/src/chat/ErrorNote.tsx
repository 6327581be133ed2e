import { type Key, t } from "../i18n";
import type { Failure } from "../live/turn";
import { Icon } from "../ui/icons";

interface Said {
  what: Key;
  next: Key | null;
}

const KNOWN: Record<string, Said> = {
  unreachable: { what: "error.unreachable", next: "error.unreachableNext" },
  insufficient_credits: { what: "error.credits", next: "error.creditsNext" },
  rate_limited: { what: "error.rate", next: "error.rateNext" },
  provider_failed: { what: "error.provider", next: "error.providerNext" },
  provider_timeout: { what: "error.provider", next: "error.providerNext" },
  overloaded: { what: "error.busy", next: "error.busyNext" },
  server_stopping: { what: "error.busy", next: "error.busyNext" },
};

/** What went wrong, what it means and what to do about it. */
export function ErrorNote({ failure, retry }: { failure: Failure; retry?: (() => void) | undefined }) {
  const said = KNOWN[failure.code];
  const seconds = failure.retryAfterS ?? 60;
  return (
    <div className="error-note" role="alert">
      <Icon name="warning" />
      <div>
        <p className="error-what">{said ? t(said.what) : failure.message || t("error.generic")}</p>
        {said?.next && <p>{t(said.next, { seconds })}</p>}
        {failure.requestId && failure.status >= 500 && (
          <p className="error-reference">{t("error.reference", { id: failure.requestId })}</p>
        )}
      </div>
      {retry && (
        <button className="small-button" onClick={retry} type="button">
          {t("error.retry")}
        </button>
      )}
    </div>
  );
}
