import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type SubmitEvent, useEffect, useId, useRef, useState } from "react";
import { ApiError, json } from "../api/http";
import { client, session } from "../api/queries";
import type { FileRow } from "../api/types";
import { number, t } from "../i18n";
import { Deleted } from "../shell/Deleted";
import { soon } from "../shell/regret";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/icons";
import { Preview } from "./Preview";
import { files, pacing } from "./queries";
import { Row, type RowActions } from "./Row";
import { type About, askAbout, forgetAbout } from "./scope";
import { words } from "./trouble";
import { bring, bringAddress } from "./uploads";
import "../styles/files.css";

const TYPING_MS = 250;

/** The files that answers come from: what there is, what is searched, and what more there should be. */
export default function Files({ courseId, onClose }: { courseId: number | null; onClose: () => void }) {
  const [shown, setShown] = useState<FileRow | null>(null);
  const ask = (about: About) => {
    askAbout(courseId, about);
    onClose();
  };
  return (
    <Dialog className="dialog files" label={t("files.title")} onClose={onClose}>
      {shown ? (
        <Preview onAsk={ask} onBack={() => setShown(null)} row={shown} />
      ) : (
        <Vault onAsk={ask} onPreview={setShown} onSent={onClose} />
      )}
    </Dialog>
  );
}

interface VaultProps {
  onAsk: (about: About) => void;
  onPreview: (row: FileRow) => void;
  /** Something is on its way; how far it is shows beside the conversation. */
  onSent: () => void;
}

function Vault({ onAsk, onPreview, onSent }: VaultProps) {
  const [typed, setTyped] = useState("");
  const wanted = useSettled(typed.trim(), TYPING_MS);
  const [gone, setGone] = useState<{ row: FileRow; undo: () => void } | null>(null);
  const [problem, setProblem] = useState("");
  const found = useFiles(wanted);

  async function change(row: FileRow, method: string, path: string, body?: unknown): Promise<void> {
    setProblem("");
    try {
      await json(path, { method, ...(body === undefined ? {} : { body }) });
    } catch (error) {
      setProblem(`${row.originalname}: ${said(error)}`);
    }
    await client.invalidateQueries({ queryKey: ["files"] });
    await client.invalidateQueries({ queryKey: ["file", row._id] });
  }
  function remove(row: FileRow): void {
    const undo = soon(
      async () => {
        await json(`/api/user/upload/${row._id}`, { method: "DELETE", lasting: true });
        forgetAbout(row._id);
      },
      (error) => {
        if (error !== undefined) setProblem(`${row.originalname}: ${said(error)}`);
        void client
          .invalidateQueries({ queryKey: ["files"] })
          .then(() => setGone((now) => (now?.row._id === row._id ? null : now)));
      },
    );
    setGone({ row, undo });
  }
  const actions: RowActions = {
    onAsk: ({ _id, originalname }) => onAsk({ id: _id, name: originalname }),
    onPreview,
    onInclude: (row, included) =>
      change(row, "PUT", `/api/user/upload/${row._id}`, { status: included ? "selected" : "active" }),
    onStop: (row) => change(row, "POST", `/api/user/files/${row._id}/cancel`),
    onAgain: (row) => change(row, "POST", `/api/user/files/${row._id}/reprocess`),
    onDelete: remove,
  };
  const rows = found.rows.filter((row) => row._id !== gone?.row._id);
  return (
    <>
      <h2>{t("files.title")}</h2>
      <p className="files-lead">{t("files.lead", { active: found.active, total: found.total })}</p>
      <Adding onSent={onSent} />
      <label className="search">
        <Icon name="search" size={16} />
        <span className="hidden">{t("files.find")}</span>
        <input
          dir="auto"
          maxLength={200}
          onChange={(event) => setTyped(event.target.value)}
          placeholder={t("files.find")}
          type="search"
          value={typed}
        />
      </label>
      <p className="form-error" role="alert">
        {problem}
      </p>
      {found.failed ? (
        <p className="empty">
          {t("files.listFailed")}{" "}
          <button className="small-button" onClick={found.again} type="button">
            {t("chat.retry")}
          </button>
        </p>
      ) : (
        found.ready && rows.length === 0 && <Empty wanted={wanted} />
      )}
      <ul aria-label={t("files.title")} className="files-list">
        {rows.map((row) => (
          <Row actions={actions} key={row._id} row={row} />
        ))}
      </ul>
      {found.next && (
        <button className="small-button" onClick={found.next} type="button">
          {t("files.next")}
        </button>
      )}
      {gone && (
        <Deleted
          name={gone.row.originalname}
          onUndo={() => {
            gone.undo();
            setGone(null);
          }}
        />
      )}
    </>
  );
}

function Empty({ wanted }: { wanted: string }) {
  return <p className="empty">{wanted ? t("files.noneFound", { text: wanted }) : t("files.none")}</p>;
}

/** Everything there is of this name, looked at again while something is being taken in. */
function useFiles(wanted: string) {
  const [pace] = useState(pacing);
  const { data, isError, isPending, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({
    ...files(wanted),
    refetchInterval: ({ state }) =>
      pace(
        state.data?.pages.flatMap((page) => page.data),
        state.dataUpdateCount,
      ),
  });
  const counts = Object.values(data?.pages.at(-1)?.vaultCounts ?? {});
  return {
    rows: data?.pages.flatMap((page) => page.data) ?? [],
    total: number(counts.reduce((sum, each) => sum + each.total, 0)),
    active: number(counts.reduce((sum, each) => sum + each.active, 0)),
    failed: isError && !data,
    ready: !isPending,
    again: () => void refetch(),
    next: hasNextPage ? () => void fetchNextPage() : null,
  };
}

/** From the device, or from the web; into the own vault, or for everybody of the twin. */
function Adding({ onSent }: { onSent: () => void }) {
  const { data } = useQuery(session);
  const [url, setUrl] = useState("");
  const [shared, setShared] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const [urlId, whereId] = [useId(), useId()];
  const profile = data?.profile;
  const twin = profile && profile.accountType !== "user" ? profile.institution : null;
  const target = shared && twin ? twin._id : null;
  return (
    <div className="files-add">
      <button className="button wide" onClick={() => picker.current?.click()} type="button">
        <Icon name="plus" />
        {t("files.choose")}
      </button>
      <input
        hidden
        multiple
        onChange={({ target: input }) => {
          if (!input.files?.length) return;
          bring(input.files, target);
          onSent();
        }}
        ref={picker}
        type="file"
      />
      <p className="files-hint">{t("files.hint")}</p>
      <form
        onSubmit={(event: SubmitEvent) => {
          event.preventDefault();
          bringAddress(url.trim(), target);
          onSent();
        }}
      >
        <label htmlFor={urlId}>{t("files.address")}</label>
        <div className="files-address">
          <input
            id={urlId}
            maxLength={2048}
            onChange={(event) => setUrl(event.target.value)}
            placeholder="https://"
            required
            type="url"
            value={url}
          />
          <button className="small-button" type="submit">
            {t("files.add")}
          </button>
        </div>
      </form>
      {twin && (
        <label className="files-where" htmlFor={whereId}>
          {t("files.where")}
          <select
            id={whereId}
            onChange={(event) => setShared(event.target.value === "twin")}
            value={shared ? "twin" : "own"}
          >
            <option value="own">{t("files.own")}</option>
            <option value="twin">{t("files.twin", { name: twin.ainame || twin.name })}</option>
          </select>
        </label>
      )}
    </div>
  );
}

function said(error: unknown): string {
  return error instanceof ApiError ? words(error) : t("error.generic");
}

/** Return a value once it has stood still for a while. */
function useSettled(value: string, ms: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
