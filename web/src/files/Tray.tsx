import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import type { FileRow } from "../api/types";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { Ingestion, Progress } from "./Progress";
import { busy, file, pacing } from "./queries";
import { askAbout, type About } from "./scope";
import { words } from "./trouble";
import { dismiss, retry, type Upload, useUploads } from "./uploads";
import "../styles/files.css";

/** How many are shown above the composer; the rest is where all files are. */
const SHOWN = 3;

/** What has been brought lately, how far it is, and what can be done with it now. */
export default function Tray({ courseId, onAll }: { courseId: number | null; onAll: () => void }) {
  const uploads = useUploads();
  const [said, setSaid] = useState("");
  const more = uploads.length - SHOWN;
  return (
    <>
      {uploads.length > 0 && (
        <ul aria-label={t("files.brought")} className="tray">
          {uploads.slice(0, SHOWN).map((upload) => (
            <li className="tray-row" key={upload.key}>
              <Icon name={upload.state === "failed" ? "warning" : "file"} size={16} />
              {upload.uploadId ? (
                <KeptRow courseId={courseId} id={upload.uploadId} onSaid={setSaid} upload={upload} />
              ) : (
                <SentRow upload={upload} />
              )}
              <button
                aria-label={t(upload.state === "kept" ? "files.dismiss" : "files.stop", { name: upload.name })}
                className="icon-button"
                onClick={() => dismiss(upload.key)}
                type="button"
              >
                <Icon name="close" size={16} />
              </button>
            </li>
          ))}
          {more > 0 && (
            <li className="tray-row">
              <button className="small-button" onClick={onAll} type="button">
                {t("files.more", { n: more })}
              </button>
            </li>
          )}
        </ul>
      )}
      <p className="hidden" role="status">
        {said}
      </p>
    </>
  );
}

function Named({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="file-text">
      <bdi className="file-name" title={name}>
        {name}
      </bdi>
      {children}
    </div>
  );
}

function SentRow({ upload }: { upload: Upload }) {
  const { key, name, state, share, trouble } = upload;
  return (
    <>
      <Named name={name}>
        {trouble ? (
          <span className="file-state failed" role="alert">
            {words(trouble)}
          </span>
        ) : (
          <Progress
            name={name}
            share={state === "sending" ? share : null}
            what={t(state === "waiting" ? "files.waiting" : share === null ? "files.fetching" : "files.sending")}
          />
        )}
      </Named>
      {trouble && trouble.code !== "folder" && (
        <button className="small-button" onClick={() => retry(key)} type="button">
          {t("chat.retry")}
        </button>
      )}
    </>
  );
}

interface KeptProps {
  upload: Upload;
  id: string;
  courseId: number | null;
  onSaid: (text: string) => void;
}

function KeptRow({ upload, id, courseId, onSaid }: KeptProps) {
  const { data } = useFollowed(id);
  const name = data?.originalname ?? upload.name;
  const phase = data?.ingestion.phase;
  useEffect(() => {
    if (phase === "done") onSaid(t("files.ready", { name }));
    if (phase === "error") onSaid(t("files.notRead", { name }));
  }, [phase, name, onSaid]);
  const about: About = { id, name };
  return (
    <>
      <Named name={name}>
        {data && <Ingestion row={data} />}
        {phase === "done" && <span className="file-state">{t(upload.duplicate ? "files.known" : "files.done")}</span>}
      </Named>
      {phase === "done" && (
        <button className="small-button" onClick={() => askAbout(courseId, about)} type="button">
          {t("files.ask")}
        </button>
      )}
    </>
  );
}

/** A document, looked at as long as it is being taken in. */
function useFollowed(id: string) {
  const queries = useQueryClient();
  const [pace] = useState(pacing);
  const found = useQuery({
    ...file(id),
    refetchInterval: ({ state }) => pace(state.data ? [state.data] : undefined, state.dataUpdateCount),
  });
  const row: FileRow | undefined = found.data;
  const settled = row !== undefined && !busy(row);
  useEffect(() => {
    if (settled) void queries.invalidateQueries({ queryKey: ["files"] });
  }, [settled, queries]);
  return found;
}
