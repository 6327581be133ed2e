import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ApiError } from "../api/http";
import { PAGE, readTurns, session } from "../api/queries";
import type { Assistant } from "../api/types";
import { Arriving } from "../files/Arriving";
import { aboutOf, begun } from "../files/scope";
import { t } from "../i18n";
import { again, ask, pickUp, stop } from "../live/asking";
import { get, useLiveTurns } from "../live/store";
import { ended } from "../live/turn";
import { Mark } from "../ui/icons";
import { Composer, type ComposerHandle } from "./Composer";
import { ErrorNote } from "./ErrorNote";
import { Thread } from "./Thread";
import type { TurnActions } from "./Turn";
import { merge, type TurnView } from "./view";

const Assistants = lazy(() => import("./Assistants"));

interface ChatProps {
  courseId: number | null;
  /** Where to go on with a conversation that has begun; without it, to its own address. */
  onBegun?: (courseId: number) => void;
}

/** A conversation; without a number, one that begins with the first question. */
export function Chat({ courseId, onBegun }: ChatProps) {
  const navigate = useNavigate();
  const { person, name } = useTwin();
  const [assistant, setAssistant] = useState<Assistant | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const { views, running, history } = useConversation(courseId);

  const send = useCallback(
    (text: string) => {
      const id = courseId ?? Date.now();
      ask({ courseId: id, text, assistantId: assistant?._id ?? null, documentId: aboutOf(courseId)?.id ?? null });
      if (courseId !== null) return;
      begun(id);
      if (onBegun) onBegun(id);
      else void navigate({ to: "/chat/$courseId", params: { courseId: String(id) } });
    },
    [courseId, navigate, assistant, onBegun],
  );
  const actions: TurnActions = useMemo(
    () => ({
      // What was refused before it became a turn gives way to the new try; anything else stays in the history.
      again: (question, key) => (unborn(key) ? again(key) : send(question)),
      edit: (question) => composer.current?.write(question),
    }),
    [send],
  );

  return (
    <div className="chat">
      <Body
        actions={actions}
        welcome={<Welcome assistant={assistant} onChoose={setAssistant} />}
        error={history.error}
        loading={courseId !== null && history.isPending && views.length === 0}
        name={name}
        onEarlier={history.hasNextPage ? () => void history.fetchNextPage() : null}
        onRetry={() => void history.refetch()}
        views={views}
      />
      <div className="composer-dock">
        <Arriving courseId={courseId} />
        <Composer
          answering={running !== undefined}
          draftKey={`${person}.${courseId ?? "new"}`}
          name={assistant?.name ?? name}
          onSend={send}
          onStop={() => running && void stop(running.key)}
          ref={composer}
        />
      </div>
    </div>
  );
}

/** Who asks (an id), and whom. */
function useTwin(): { person: string; name: string; about: string } {
  const { data } = useQuery(session);
  const profile = data?.profile;
  const twin = profile?.institution;
  return {
    person: profile?._id ?? "",
    name: twin?.ainame || twin?.name || "Twinspeak",
    about: twin?.about ?? "",
  };
}

/** What has been said, what is being said, and whether there is more to read. */
function useConversation(courseId: number | null) {
  const live = useLiveTurns(courseId ?? -1);
  const history = useInfiniteQuery({
    queryKey: ["turns", courseId],
    queryFn: ({ pageParam }) => readTurns(courseId ?? 0, pageParam),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.length < PAGE || !page[0] ? undefined : Date.parse(page[0].created)),
    enabled: courseId !== null,
  });
  useEffect(() => {
    if (courseId !== null) void pickUp().catch(() => undefined);
  }, [courseId]);
  const records = useMemo(() => [...(history.data?.pages ?? [])].reverse().flat(), [history.data]);
  const views = useMemo(() => merge(records, live), [records, live]);
  return { views, running: live.find((turn) => !ended(turn)), history };
}

interface BodyProps {
  views: TurnView[];
  name: string;
  loading: boolean;
  error: Error | null;
  actions: TurnActions;
  onEarlier: (() => void) | null;
  onRetry: () => void;
  welcome: ReactNode;
}

function Body({ views, name, loading, error, actions, onEarlier, onRetry, welcome }: BodyProps) {
  if (loading) return <Loading />;
  if (error && views.length === 0) {
    const { code, status } = error instanceof ApiError ? error : { code: "", status: 0 };
    const failure = { code, status, message: t("chat.failed"), retryAfterS: null, requestId: "" };
    return (
      <div className="centre">
        <ErrorNote failure={failure} />
        <button className="button" onClick={onRetry} type="button">
          {t("chat.retry")}
        </button>
      </div>
    );
  }
  if (views.length === 0) return welcome;
  return <Thread actions={actions} name={name} onEarlier={onEarlier} views={views} />;
}

function Loading() {
  return (
    <div aria-label={t("app.loading")} className="thread skeleton" role="status">
      <i className="short" />
      <i />
      <i />
      <i className="half" />
    </div>
  );
}

function Welcome(props: { assistant: Assistant | null; onChoose: (assistant: Assistant | null) => void }) {
  const { name, about } = useTwin();
  const notice = useQuery(session).data?.profile?.institution?.historyNotice;
  return (
    <div className="centre welcome">
      <Mark size={52} />
      <h2 dir="auto">{name}</h2>
      <p className="welcome-lead">{t("chat.welcome")}</p>
      {about && (
        <p className="welcome-about" dir="auto">
          {about}
        </p>
      )}
      <Suspense fallback={null}>
        <Assistants chosen={props.assistant?._id ?? null} onChoose={props.onChoose} />
      </Suspense>
      {notice && (
        <p className="welcome-notice" dir="auto">
          {notice}
        </p>
      )}
    </div>
  );
}

function unborn(key: string): boolean {
  const turn = get(key);
  return turn !== undefined && turn.status === "failed" && turn.turnId === null;
}
