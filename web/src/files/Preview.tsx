import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ownToken } from "../api/http";
import type { FileRow } from "../api/types";
import { t } from "../i18n";
import { Ingestion } from "./Progress";
import { chunks } from "./queries";
import type { About } from "./scope";

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

interface Props {
  row: FileRow;
  onBack: () => void;
  onAsk: (about: About) => void;
}

/** A file as its twin reads it: the passages, as text. The file itself opens apart, where nothing of it runs here. */
export function Preview({ row, onBack, onAsk }: Props) {
  const { data, isError, isPending } = useQuery(chunks(row._id));
  const name = row.originalname;
  // A browser opens files by the cookie, and a token in an address would be read by too many.
  const fileUrl = ownToken() ? "" : row.file_url;
  const back = useRef<HTMLButtonElement>(null);
  useEffect(() => back.current?.focus(), []);
  return (
    <>
      <h2>
        <bdi className="file-name whole">{name}</bdi>
      </h2>
      <div className="files-address">
        <button className="small-button" onClick={onBack} ref={back} type="button">
          {t("files.back")}
        </button>
        {row.status === "selected" && row.ingestion.phase === "done" && (
          <button className="small-button" onClick={() => onAsk({ id: row._id, name })} type="button">
            {t("files.ask")}
          </button>
        )}
        {fileUrl && (
          <a className="small-button" href={fileUrl} rel="noreferrer" target="_blank">
            {t("files.open")}
          </a>
        )}
      </div>
      <Ingestion row={row} />
      {PICTURES.has(row.mimetype) && fileUrl && <img alt={name} className="file-picture" src={fileUrl} />}
      {isError && <p className="empty">{t("files.previewFailed")}</p>}
      {isPending && (
        <p className="empty" role="status">
          {t("app.loading")}
        </p>
      )}
      {data?.length === 0 && <p className="empty">{t("files.noText")}</p>}
      <section aria-label={t("files.text")} className="file-passages" tabIndex={0}>
        {data?.map((chunk) => (
          <div className="file-passage" key={chunk._id}>
            {chunk.section && (
              <p className="passage-section" dir="auto">
                {chunk.section}
              </p>
            )}
            <p dir="auto">{chunk.chunkText}</p>
          </div>
        ))}
      </section>
    </>
  );
}
