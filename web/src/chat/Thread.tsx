import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { Turn, type TurnActions } from "./Turn";
import type { TurnView } from "./view";

/** How near to the end still counts as being there, in pixels. */
const NEAR = 80;

interface Props {
  views: TurnView[];
  name: string;
  actions: TurnActions;
  onEarlier: (() => void) | null;
}

/** The turns of a conversation. It stays at its end while somebody reads there, and where it is when he does not. */
export function Thread({ views, name, actions, onEarlier }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const lastTop = useRef(0);
  const [away, setAway] = useState(false);
  const count = views.length;
  const first = views[0]?.key;
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
  /** Go to the turn that the address names, when it is there to go to. */
  function toNamed(arriving: boolean): boolean {
    const named = arriving && location.hash ? document.getElementById(location.hash.slice(1)) : null;
    named?.scrollIntoView();
    if (named) atEnd.current = false;
    return named !== null;
  }
  // A new question, or another conversation, is looked at from its end.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && before.current.first !== first && before.current.height > 0 && !atEnd.current) {
      // Earlier turns were put in front: what was looked at stays where it is.
      box.scrollTop += box.scrollHeight - before.current.height;
    } else if (!toNamed(before.current.height === 0)) {
      toEnd();
    }
    before.current = { first, height: box?.scrollHeight ?? 0 };
  }, [count, first]);
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
      {away && (
        <button aria-label={t("chat.latest")} className="latest" onClick={toEnd} title={t("chat.latest")} type="button">
          <Icon name="arrowDown" />
        </button>
      )}
    </>
  );
}
