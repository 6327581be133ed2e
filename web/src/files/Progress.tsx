import type { FileRow } from "../api/types";
import { type Key, number, t } from "../i18n";
import { words } from "./trouble";

const PHASES: Record<string, Key> = {
  queued: "files.queued",
  extract: "files.extract",
  chunk: "files.chunk",
  sanitize: "files.sanitize",
  embed: "files.embed",
  finalize: "files.finalize",
};

/** How far something is: the words, and the bar under them. Without a share it moves, and says nothing of when. */
export function Progress({ name, what, share }: { name: string; what: string; share: number | null }) {
  return (
    <>
      <span className="file-state">{share === null ? what : `${what} ${number(share * 100)} %`}</span>
      <progress
        aria-label={`${name}: ${what}`}
        className="file-bar"
        max={1}
        {...(share === null ? {} : { value: share })}
      />
    </>
  );
}

/** How far a document is taken in, or why it is not. */
export function Ingestion({ row }: { row: FileRow }) {
  const { phase, progress, error } = row.ingestion;
  if (phase === "error") {
    const said = error ? words(error) : t("files.failed");
    return <span className="file-state failed">{said}</span>;
  }
  if (phase === "done") return null;
  return <Progress name={row.originalname} share={progress / 100} what={t(PHASES[phase] ?? "files.queued")} />;
}
