import * as Popover from "@radix-ui/react-popover";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { passages } from "../api/queries";
import type { Source } from "../api/types";
import { t } from "../i18n";
import { Icon } from "../ui/icons";

/** A source's number in the text; it opens the passage. */
export function Citation({ source, turnId }: { source: Source; turnId: string | null }) {
  return (
    <PassagePopover source={source} turnId={turnId}>
      <button
        aria-label={t("turn.source", { n: source.number, name: source.originalname })}
        className="cite"
        type="button"
      >
        {source.number}
      </button>
    </PassagePopover>
  );
}

/** The sources that an answer cites, below it. */
export default function Sources({ sources, turnId }: { sources: Source[]; turnId: string | null }) {
  return (
    <ul aria-label={t("turn.sources")} className="sources">
      {sources.map((source) => (
        <li key={source.number}>
          <PassagePopover source={source} turnId={turnId}>
            <button className="source" type="button">
              <span className="source-number">{source.number}</span>
              <bdi className="source-name">{source.originalname}</bdi>
            </button>
          </PassagePopover>
        </li>
      ))}
    </ul>
  );
}

function PassagePopover({ source, turnId, children }: { source: Source; turnId: string | null; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover.Root onOpenChange={setOpen} open={open}>
      <Popover.Trigger asChild>{children}</Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          aria-label={t("turn.source", { n: source.number, name: source.originalname })}
          className="passage"
          collisionPadding={12}
          sideOffset={6}
        >
          <Passage source={source} turnId={turnId} />
          <Popover.Close aria-label={t("shell.close")} className="icon-button passage-close">
            <Icon name="close" size={16} />
          </Popover.Close>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function Passage({ source, turnId }: { source: Source; turnId: string | null }) {
  const { data, isError } = useQuery({ ...passages(turnId ?? ""), enabled: turnId !== null });
  const whole = data?.find((each) => each.number === source.number)?.text;
  return (
    <>
      <p className="passage-title">
        <Icon name="book" size={16} />
        <bdi>{source.originalname}</bdi>
      </p>
      {source.section && <p className="passage-section">{source.section}</p>}
      <blockquote className="passage-text" dir="auto" tabIndex={0}>
        {whole ?? `${source.snippet}…`}
      </blockquote>
      {isError && <p className="passage-section">{t("turn.passageFailed")}</p>}
    </>
  );
}
