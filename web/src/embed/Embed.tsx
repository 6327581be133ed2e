import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { ApiError, guard } from "../api/http";
import { session } from "../api/queries";
import { Chat } from "../chat/Chat";
import { type Key, t } from "../i18n";
import { whenEnded } from "../live/asking";
import { close, open } from "../live/socket";
import { Icon, Mark } from "../ui/icons";
import { hear, tell } from "./around";
import { ended, obey, type Stage } from "./commands";
import { enter } from "./entering";
import type { ToFrame } from "./protocol";
import "../styles/embed.css";

/** How long the page around may take to say who comes. */
const PATIENCE_MS = 20_000;

type State = "waiting" | "in" | "refused";

/** A twin in a frame of another site. */
export default function Embed({ publicId }: { publicId: string }) {
  const [courseId, setCourseId] = useState<number | null>(null);
  const [announced, setAnnounced] = useState("");
  const course = useRef(courseId);
  const { data } = useQuery(session);
  const twin = data?.profile?.institution;
  const name = twin?.ainame || twin?.name || "Twinspeak";
  const show = (wanted: number | null) => {
    course.current = wanted;
    setCourseId(wanted);
  };
  const [stage] = useState<Stage>(() => ({ courseId: () => course.current, show }));
  const { state, code } = useEntering(publicId, stage);

  useEffect(() => {
    whenEnded((turn) => {
      ended(turn);
      setAnnounced(t(turn.status === "failed" ? "chat.doneFailed" : "chat.done", { name }));
    });
  }, [name]);
  return (
    <main className="embed">
      <header className="header">
        <Mark size={24} />
        <h1 dir="auto">{name}</h1>
        {state === "in" && (
          <button
            aria-label={t("shell.new")}
            className="icon-button"
            onClick={() => show(null)}
            title={t("shell.new")}
            type="button"
          >
            <Icon name="plus" />
          </button>
        )}
        <button
          aria-label={t("shell.close")}
          className="icon-button"
          onClick={() => tell({ type: "close" })}
          title={t("shell.close")}
          type="button"
        >
          <Icon name="close" />
        </button>
      </header>
      {state === "in" ? (
        <Chat courseId={courseId} key={courseId ?? "new"} onBegun={show} />
      ) : (
        <Outside code={code} waits={state === "waiting"} />
      )}
      <p aria-live="polite" className="hidden" role="status">
        {announced}
      </p>
    </main>
  );
}

const WHY: Record<string, Key> = {
  joining_refused: "embed.notPublic",
  origin_not_allowed: "embed.notAllowed",
  unreachable: "error.unreachable",
};

function Outside({ waits, code }: { waits: boolean; code: string }) {
  if (waits) {
    return (
      <div className="centre" role="status">
        <p>{t("app.loading")}</p>
      </div>
    );
  }
  return (
    <div className="centre" role="alert">
      <p>{t(WHY[code] ?? "embed.refused")}</p>
      <a className="button" href="/" rel="noreferrer" target="_blank">
        {t("embed.open")}
      </a>
    </div>
  );
}

/** Say that the frame is there, and be let in by what the page around answers; again when the session is over. */
function useEntering(publicId: string, stage: Stage): { state: State; code: string } {
  const [entering, setEntering] = useState<{ state: State; code: string }>({ state: "waiting", code: "" });
  useEffect(() => {
    const refuse = (code: string) => {
      clearTimeout(timer);
      setEntering({ state: "refused", code });
      tell({ type: "refused", code });
    };
    const timer = setTimeout(() => refuse("silent"), PATIENCE_MS);
    async function take(message: ToFrame): Promise<void> {
      if (message.type === "no-launch") refuse(message.code);
      else if (message.type === "command") {
        tell({ type: "answer", id: message.id, answer: await obey(message.command, stage) });
      } else {
        clearTimeout(timer);
        try {
          await enter(publicId, message.launch);
          void open().catch(() => undefined);
          setEntering({ state: "in", code: "" });
          tell({ type: "connected" });
        } catch (error) {
          refuse(error instanceof ApiError ? error.code : "unreachable");
        }
      }
    }
    const deaf = hear((message) => void take(message));
    // There is no sign-in to go to: whoever shows the frame is asked who comes, once more.
    guard(
      () => Promise.resolve(),
      () => {
        close();
        setEntering({ state: "waiting", code: "" });
        tell({ type: "ready" });
      },
    );
    tell({ type: "ready" });
    return () => {
      clearTimeout(timer);
      deaf();
    };
  }, [publicId, stage]);
  return entering;
}
