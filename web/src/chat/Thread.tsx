import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { idOf } from "./paths";
import { Turn, type TurnActions } from "./Turn";
import type { TurnView } from "./view";

/** How near to the end still counts as being there, in pixels. */
const NEAR = 80;

/** A turn that is to be looked at; `go`: which way somebody came to it from another version, to go on that way. */
export interface Chosen {
  turnId: string;
  go: "previous" | "next" | null;
}

interface Props {
  views: TurnView[];
  chosen: Chosen | null;
  name: string;
  actions: TurnActions;
  onEarlier: (() => void) | null;
}

/** The turns of a conversation. It stays at its end while somebody reads there, and where it is when he does not. */
export function Thread({ views, chosen, name, actions, onEarlier }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const [away, setAway] = useState(false);
  const count = views.length;
  const first = views[0]?.key;
  const last = views.at(-1)?.key;
  const reached = useRef<Chosen | null>(null);
  const shown = chosen && views.find((view) => idOf(view) === chosen.turnId);
  const before = useRef({ first, height: 0 });

  function scrolled(): void {
    const box = scroller.current;
    if (!box) return;
    const near = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    // What is heard of a scroll may come after more text has: only who goes up leaves the end.
    if (near || box.scrollTop < lastTop.current) atEnd.current = near;
    lastTop.current = box.scrollTop;
    setAway(!atEnd.current);
  }
  function toEnd(): void {
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
    atEnd.current = true;
  }
  // A new question, or another conversation, is looked at from its end; what was chosen, from its beginning.
  useLayoutEffect(() => {
    const box = scroller.current;
    const grown = before.current.first !== first && before.current.height > 0 && !atEnd.current;
    if (reached.current !== chosen && (chosen === null || goTo(chosen))) {
      reached.current = chosen;
      atEnd.current = chosen === null;
    } else if (box && grown) {
      // Earlier turns were put in front: what was looked at stays where it is.
      box.scrollTop += box.scrollHeight - before.current.height;
    } else if (chosen === null) atEnd.current = true;
    if (atEnd.current) toEnd();
    before.current = { first, height: box?.scrollHeight ?? 0 };
  }, [count, first, last, chosen]);
  useEffect(() => {
    const box = scroller.current;
    const content = box?.firstElementChild;
    if (!box || !content) return;
    const watch = new ResizeObserver(() => {
      before.current.height = box.scrollHeight;
      if (atEnd.current) box.scrollTop = box.scrollHeight;
    });
    watch.observe(content);
    watch.observe(box);
    return () => watch.disconnect();
  }, []);

  return (
    <>
      <section aria-label={t("chat.region")} className="scroller" onScroll={scrolled} ref={scroller} tabIndex={0}>
        <div className="thread">
          {onEarlier && (
            <button className="small-button earlier" onClick={onEarlier} type="button">
              {t("chat.earlier")}
            </button>
          )}
          {views.map((view) => (
            <Turn actions={actions} key={view.key} name={name} view={view} />
          ))}
        </div>
      </section>
      <p className="hidden" role="status">
        {chosen?.go && shown ? t("turn.version", { n: shown.version, of: shown.versions }) : ""}
      </p>
      {away && (
        <button aria-label={t("chat.latest")} className="latest" onClick={toEnd} title={t("chat.latest")} type="button">
          <Icon name="arrowDown" />
        </button>
      )}
    </>
  );
}

/** Go to a turn, if it is there: to its beginning, or to where somebody went through its versions. */
function goTo({ turnId, go }: Chosen): boolean {
  const turn = document.getElementById(`turn-${turnId}`);
  if (go) turn?.querySelector<HTMLElement>(`[data-go="${go}"]`)?.focus();
  else turn?.scrollIntoView();
  return turn !== null;
}
