import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { session } from "../api/queries";
import type { FileRow, Profile } from "../api/types";
import { t } from "../i18n";
import { Icon, type IconName } from "../ui/icons";
import { Ingestion } from "./Progress";
import { busy } from "./queries";
import { size } from "./trouble";

export interface RowActions {
  onAsk: (row: FileRow) => void;
  onPreview: (row: FileRow) => void;
  onInclude: (row: FileRow, included: boolean) => Promise<void>;
  onStop: (row: FileRow) => Promise<void>;
  onAgain: (row: FileRow) => Promise<void>;
  onDelete: (row: FileRow) => void;
}

const VAULTS = { personal: "files.own", instance: "files.ofTwin", account: "files.ofAccount" } as const;

/** A file: its name as a stranger wrote it, what state it is in, and what can be done with it. */
export function Row({ row, actions }: { row: FileRow; actions: RowActions }) {
  const { data } = useQuery(session);
  const name = row.originalname;
  const done = row.ingestion.phase === "done";
  return (
    <li className="file">
      <div className="file-text">
        <bdi className="file-name" title={name}>
          {name}
        </bdi>
        <span className="file-facts">
          {size(row.filesize)} · {t(VAULTS[row.vault])}
        </span>
        <Ingestion row={row} />
      </div>
      <div className="file-actions">
        {done && row.status === "selected" && (
          <Act icon="ask" label={t("files.askAbout", { name })} onClick={() => actions.onAsk(row)} />
        )}
        {!busy(row) && <Act icon="eye" label={t("files.preview", { name })} onClick={() => actions.onPreview(row)} />}
        {mayChange(row, data?.profile ?? null) && <Changes actions={actions} row={row} />}
      </div>
    </li>
  );
}

/** What is for those alone whose file it is, or who administer it. */
function Changes({ row, actions }: { row: FileRow; actions: RowActions }) {
  // What is wanted shows at once; what is, once the server has said so.
  const [wanted, setWanted] = useState<boolean | null>(null);
  const name = row.originalname;
  async function include(included: boolean): Promise<void> {
    setWanted(included);
    await actions.onInclude(row, included);
    setWanted((latest) => (latest === included ? null : latest));
  }
  return (
    <>
      {row.ingestion.phase === "error" && (
        <Act icon="again" label={t("files.again", { name })} onClick={() => void actions.onAgain(row)} />
      )}
      {busy(row) && <Act icon="stop" label={t("files.stop", { name })} onClick={() => void actions.onStop(row)} />}
      <Act icon="trash" label={t("files.delete", { name })} onClick={() => actions.onDelete(row)} />
      {row.ingestion.phase === "done" && (
        <label className="switch" title={t("files.include", { name })}>
          <input
            aria-label={t("files.include", { name })}
            checked={wanted ?? row.status === "selected"}
            onChange={(event) => void include(event.target.checked)}
            role="switch"
            type="checkbox"
          />
        </label>
      )}
    </>
  );
}

/** Whether it makes sense to offer changes; the server decides. */
function mayChange(row: FileRow, profile: Profile | null): boolean {
  return row.vault === "personal" || row.user === profile?._id || (profile?.accountType ?? "user") !== "user";
}

function Act({ icon, label, onClick }: { icon: IconName; label: string; onClick: () => void }) {
  return (
    <button aria-label={label} className="icon-button" onClick={onClick} title={label} type="button">
      <Icon name={icon} size={16} />
    </button>
  );
}
