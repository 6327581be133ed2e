import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ApiError } from "../api/http";
import { PAGE, readTurns, session } from "../api/queries";
import type { Assistant } from "../api/types";
import { Arriving } from "../files/Arriving";
import { aboutOf, begun } from "../files/scope";
import { t } from "../i18n";
import { again, ask, pickUp, stop } from "../live/asking";
import { get, useLiveTurns } from "../live/store";
import { ended, type Place } from "../live/turn";
import { Mark } from "../ui/icons";
import { Composer, type ComposerHandle } from "./Composer";
import { Editing } from "./Editing";
import { ErrorNote } from "./ErrorNote";
import { after, known, type Path, path } from "./paths";
import { type Chosen, Thread } from "./Thread";
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
  const { person, name } = useTwin();
  const [assistant, setAssistant] = useState<Assistant | null>(null);
  const [edited, setEdited] = useState<Edited | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const { shown, running, history, chosen, choose } = useConversation(courseId);
  const ask = useAsking(courseId, assistant?._id ?? null, choose, onBegun);

  const send = (text: string) => {
    ask(text, edited ? { parentId: null, replacesId: edited.turnId } : { parentId: after(shown), replacesId: null });
    setEdited(null);
  };
  const last = useRef(send);
  useEffect(() => {
    last.current = send;
  });
  const actions: TurnActions = useMemo(
    () => ({
      // What was refused before it became a turn gives way to the new try; anything else stays as another version.
      again: (view) => {
        if (unborn(view.key)) again(view.key);
        else ask(view.question, { parentId: null, replacesId: known(view) ? view.turnId : null });
      },
      goOn: () => last.current(t("turn.continueText")),
      edit: (view) => {
        const before = composer.current?.write(view.question) ?? "";
        setEdited((was) => ({ turnId: known(view) ? view.turnId : null, before: was?.before ?? before }));
      },
      choose: (turnId, go) => choose({ turnId, go }),
    }),
    [ask, choose],
  );

  return (
    <div className="chat">
      <Body
        actions={actions}
        chosen={chosen}
        welcome={<Welcome assistant={assistant} onChoose={setAssistant} />}
        error={history.error}
        loading={courseId !== null && history.isPending && shown.views.length === 0}
        name={name}
        onEarlier={history.hasNextPage && shown.earlier ? () => void history.fetchNextPage() : null}
        onRetry={() => void history.refetch()}
        views={shown.views}
      />
      <div className="composer-dock">
        <Arriving courseId={courseId} />
        {edited && (
          <Editing
            onCancel={() => {
              composer.current?.write(edited.before);
              setEdited(null);
            }}
          />
        )}
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

/** A question that is being changed, and what was in the composer before that. */
interface Edited {
  turnId: string | null;
  before: string;
}

/** How a question is asked here; the first one begins the conversation. */
function useAsking(
  courseId: number | null,
  assistantId: string | null,
  choose: (chosen: Chosen | null) => void,
  onBegun?: (courseId: number) => void,
) {
  const navigate = useNavigate();
  return useCallback(
    (text: string, place: Place) => {
      const id = courseId ?? Date.now();
      ask({ courseId: id, text, assistantId, documentId: aboutOf(courseId)?.id ?? null, place });
      choose(null);
      if (courseId !== null) return;
      begun(id);
      if (onBegun) onBegun(id);
      else void navigate({ to: "/chat/$courseId", params: { courseId: String(id) } });
    },
    [courseId, navigate, assistantId, choose, onBegun],
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

/** What has been said, what is being said, which path of it is shown, and whether there is more to read. */
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
  const [chosen, choose] = useChosen();
  const whole = courseId === null || (history.isSuccess && !history.hasNextPage);
  const shown = useMemo(() => path(views, chosen?.turnId ?? null, whole), [views, chosen, whole]);
  useReadingOn(history, shown, chosen, records[0]?.id);
  return { shown, running: live.find((turn) => !ended(turn)), history, chosen, choose };
}

/** The turn through which the path leads: the one that the address names, until somebody chooses another. */
function useChosen() {
  const named = /^turn-([0-9a-f]{24})$/.exec(useLocation().hash)?.[1] ?? null;
  const [chosen, choose] = useState<Chosen | null>(named === null ? null : { turnId: named, go: null });
  const [before, setBefore] = useState(named);
  if (named !== before) {
    setBefore(named);
    if (named !== null) choose({ turnId: named, go: null });
  }
  return [chosen, choose] as const;
}

/** Read earlier turns as long as what is to be shown is among them. */
function useReadingOn(
  history: { hasNextPage: boolean; isFetching: boolean; isError: boolean; fetchNextPage: () => Promise<unknown> },
  shown: Path,
  chosen: Chosen | null,
  oldest: string | undefined,
): void {
  const wanted = shown.missing || (chosen !== null && oldest !== undefined && chosen.turnId < oldest);
  const { hasNextPage, isFetching, isError, fetchNextPage } = history;
  useEffect(() => {
    if (wanted && hasNextPage && !isFetching && !isError) void fetchNextPage();
  }, [wanted, hasNextPage, isFetching, isError, fetchNextPage]);
}

interface BodyProps {
  views: TurnView[];
  chosen: Chosen | null;
  name: string;
  loading: boolean;
  error: Error | null;
  actions: TurnActions;
  onEarlier: (() => void) | null;
  onRetry: () => void;
  welcome: ReactNode;
}

function Body({ views, chosen, name, loading, error, actions, onEarlier, onRetry, welcome }: BodyProps) {
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
  return <Thread actions={actions} chosen={chosen} name={name} onEarlier={onEarlier} views={views} />;
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
      {notice && <p className="welcome-notice">{t("chat.historyNotice")}</p>}
    </div>
  );
}

function unborn(key: string): boolean {
  const turn = get(key);
  return turn !== undefined && turn.status === "failed" && turn.turnId === null;
}
