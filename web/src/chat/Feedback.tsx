import { useId, useState } from "react";
import { json } from "../api/http";
import { client, favourites } from "../api/queries";
import { t } from "../i18n";
import { Action } from "./Turn";

interface Props {
  turnId: string;
  thumb: string;
  favourite: boolean;
  commenting: boolean;
  onComment: (open: boolean) => void;
}

/** Thumbs, and a comment with the one that points down. */
export function Feedback({ turnId, thumb, favourite, commenting, onComment }: Props) {
  const [given, setGiven] = useState(thumb);
  const [starred, setStarred] = useState(favourite);
  const [text, setText] = useState("");
  const [thanked, setThanked] = useState(false);
  const field = useId();
  async function mark(body: object): Promise<void> {
    await json(`/api/user/history/${turnId}`, { method: "PUT", body });
    // What is shown is right already; who comes back later reads it anew.
    await client.invalidateQueries({ queryKey: ["turns"], refetchType: "none" });
  }
  async function give(wanted: string): Promise<void> {
    const now = given === wanted ? "" : wanted;
    setGiven(now);
    onComment(now === "down");
    try {
      await mark({ thumbUpDown: now });
    } catch {
      setGiven(given);
    }
  }
  async function star(): Promise<void> {
    setStarred(!starred);
    try {
      await mark({ favorite: !starred });
      await client.invalidateQueries(favourites);
    } catch {
      setStarred(starred);
    }
  }
  async function comment(): Promise<void> {
    if (!text.trim()) return;
    await json("/api/user/feedback", { method: "POST", body: { text, thumbUpDown: given, historyId: turnId } });
    onComment(false);
    setThanked(true);
  }
  return (
    <>
      <Action icon="up" label={t("turn.good")} onClick={() => void give("up")} pressed={given === "up"} />
      <Action icon="downThumb" label={t("turn.bad")} onClick={() => void give("down")} pressed={given === "down"} />
      <Action icon="star" label={t("turn.favourite")} onClick={() => void star()} pressed={starred} />
      {thanked && (
        <span className="facts" role="status">
          {t("turn.thanks")}
        </span>
      )}
      {commenting && (
        <form
          className="comment"
          onSubmit={(event) => {
            event.preventDefault();
            void comment();
          }}
        >
          <label htmlFor={field}>{t("turn.comment")}</label>
          <textarea
            dir="auto"
            id={field}
            maxLength={10_000}
            onChange={(event) => setText(event.target.value)}
            rows={2}
            value={text}
          />
          <button className="small-button" disabled={!text.trim()} type="submit">
            {t("turn.commentSend")}
          </button>
        </form>
      )}
    </>
  );
}
