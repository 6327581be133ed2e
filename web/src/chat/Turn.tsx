import { lazy, memo, Suspense, useState } from "react";
import { credits, number, t } from "../i18n";
import { Icon, type IconName } from "../ui/icons";
import { ErrorNote } from "./ErrorNote";
import { Feedback } from "./Feedback";
import { Steps } from "./Steps";
import { idOf } from "./paths";
import type { TurnView } from "./view";

const Markdown = lazy(() => import("./Markdown"));
const Sources = lazy(() => import("./Citation"));

export interface TurnActions {
  /** Ask the same once more, in the same place. */
  again: (view: TurnView) => void;
  /** Have an interrupted answer gone on with. */
  goOn: () => void;
  /** Put a question into the composer, to be changed. */
  edit: (view: TurnView) => void;
  /** Show another version of a question, and what followed it. */
  choose: (id: string, go: "previous" | "next") => void;
}

/** A question and its answer. */
export const Turn = memo(
  function Turn({ view, name, actions }: { view: TurnView; name: string; actions: TurnActions }) {
    const coming = ["sending", "streaming", "reconnecting"].includes(view.status);
    return (
      <article className="turn" data-status={view.status} id={`turn-${idOf(view)}`}>
        <section aria-label={t("chat.you")} className="question">
          <div className="bubble" dir="auto">
            {view.question}
          </div>
          {view.versions > 1 && <Versions actions={actions} view={view} />}
        </section>
        <section aria-busy={coming} aria-label={t("chat.answered", { name })} className="answer">
          <Steps view={view} />
          <Answer coming={coming} view={view} />
          <Notes actions={actions} view={view} />
          {!coming && <Footer actions={actions} view={view} />}
        </section>
      </article>
    );
  },
  (before, after) => before.name === after.name && before.actions === after.actions && same(before.view, after.view),
);

/** Views are made anew from what is unchanged; only what differs is drawn again. */
function same(before: TurnView, after: TurnView): boolean {
  return (Object.keys(after) as (keyof TurnView)[]).every((name) => {
    if (name === "steps" && after.steps.length === 0) return before.steps.length === 0;
    return before[name] === after[name];
  });
}

/** Which version this is of what was asked here, and the way to the others. */
function Versions({ view, actions }: { view: TurnView; actions: TurnActions }) {
  const { version, versions } = view;
  const button = (go: "previous" | "next") => {
    const to = view[go];
    return (
      <button
        aria-disabled={to === null}
        aria-label={t(go === "previous" ? "turn.previous" : "turn.next")}
        className="icon-button"
        data-go={go}
        onClick={() => to !== null && actions.choose(to, go)}
        title={t(go === "previous" ? "turn.previous" : "turn.next")}
        type="button"
      >
        <Icon name="down" size={16} />
      </button>
    );
  };
  return (
    <div aria-label={t("turn.version", { n: version, of: versions })} className="versions" role="group">
      {button("previous")}
      <span aria-hidden="true" dir="ltr">{`${number(version)} / ${number(versions)}`}</span>
      {button("next")}
    </div>
  );
}

function Answer({ view, coming }: { view: TurnView; coming: boolean }) {
  if (!view.text) {
    if (!coming) return null;
    const thinking = view.steps.at(-1);
    if (thinking?.kind === "thinking" && !thinking.done) return null;
    return (
      <p className="waiting">
        <span aria-hidden="true" className="dots">
          <i />
          <i />
          <i />
        </span>
        <span className="hidden">{t("turn.waiting")}</span>
      </p>
    );
  }
  const plain = (
    <div className="prose plain" dir="auto">
      {view.text}
    </div>
  );
  return (
    <Suspense fallback={plain}>
      <Markdown coming={coming} sources={view.sources} text={view.text} turnId={view.turnId} />
    </Suspense>
  );
}

function Notes({ view, actions }: { view: TurnView; actions: TurnActions }) {
  if (view.failure) return <ErrorNote failure={view.failure} retry={() => actions.again(view)} />;
  if (view.status === "reconnecting" && view.text) return <p className="note">{t("turn.reconnecting")}</p>;
  if (view.stopping) return <p className="note">{t("turn.stopping")}</p>;
  if (view.status === "cancelled") return <p className="note">{t("turn.stopped")}</p>;
  if (view.status === "interrupted") {
    return (
      <p className="note">
        {t("turn.interrupted")}
        <button className="small-button" onClick={actions.goOn} type="button">
          {t("turn.continue")}
        </button>
      </p>
    );
  }
  if (view.moderated) return <p className="note">{t("turn.moderated")}</p>;
  return view.truncated ? <p className="note">{t("turn.truncated")}</p> : null;
}

function Footer({ view, actions }: { view: TurnView; actions: TurnActions }) {
  const cited = view.sources.filter((source) => source.cited);
  const [commenting, setCommenting] = useState(false);
  return (
    <footer className="turn-footer">
      {cited.length > 0 && (
        <Suspense fallback={null}>
          <Sources sources={cited} turnId={view.turnId} />
        </Suspense>
      )}
      <div className="actions">
        {view.text && <CopyButton text={view.text} />}
        <Action icon="again" label={t("turn.again")} onClick={() => actions.again(view)} />
        <Action icon="edit" label={t("turn.edit")} onClick={() => actions.edit(view)} />
        {view.turnId && view.text && (
          <Feedback
            key={`${view.thumb} ${view.favourite}`}
            onComment={setCommenting}
            commenting={commenting}
            favourite={view.favourite}
            thumb={view.thumb}
            turnId={view.turnId}
          />
        )}
        {view.model && (
          <span className="facts">
            {t("turn.facts", {
              model: view.model,
              credits: credits(view.credits),
              seconds: number(view.durationMs / 1000, 1),
            })}
          </span>
        )}
      </div>
    </footer>
  );
}

export function Action(props: { icon: IconName; label: string; pressed?: boolean; onClick: () => void }) {
  const { icon, label, pressed, onClick } = props;
  return (
    <button
      aria-label={label}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      className="icon-button"
      onClick={onClick}
      title={label}
      type="button"
    >
      <Icon name={icon} size={16} />
    </button>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }
  return (
    <Action
      icon={copied ? "check" : "copy"}
      label={t(copied ? "turn.copied" : "turn.copy")}
      onClick={() => void copy()}
    />
  );
}
