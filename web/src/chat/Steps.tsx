import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { thinking } from "../api/queries";
import { number, t } from "../i18n";
import type { Step, Thinking, Tool } from "../live/turn";
import { Icon } from "../ui/icons";
import type { TurnView } from "./view";

/** What the model did before and between its words, in order: reasoning folded, tools as they run. */
export function Steps({ view }: { view: TurnView }) {
  if (view.steps.length === 0 && !view.keptThinking) return null;
  return (
    <ol className="steps">
      {view.keptThinking && view.turnId && (
        <li>
          <KeptThinking turnId={view.turnId} />
        </li>
      )}
      {view.steps.map((step) => (
        <li key={`${step.kind} ${step.id}`}>
          <OneStep step={step} />
        </li>
      ))}
    </ol>
  );
}

function OneStep({ step }: { step: Step }) {
  return step.kind === "thinking" ? <Thought step={step} /> : <ToolCall tool={step} />;
}

function Thought({ step }: { step: Thinking }) {
  const seconds = useSeconds(step);
  const label = step.done ? t("turn.thought", { seconds: number(seconds) }) : t("turn.thinking");
  return (
    <details className="step">
      <summary>
        <Icon name="bulb" size={16} />
        <span className={step.done ? "" : "busy"}>{label}</span>
        {!step.done && <span className="step-time">{number(seconds)} s</span>}
      </summary>
      <div className="thought" dir="auto" tabIndex={0}>
        {step.text}
      </div>
    </details>
  );
}

function useSeconds(step: Thinking): number {
  const [now, setNow] = useState(step.startedAt);
  useEffect(() => {
    if (step.done) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [step.done]);
  const passed = step.durationMs ?? now - step.startedAt;
  return Math.max(step.done ? 1 : 0, Math.round(passed / 1000));
}

/** Reasoning of an answer from history: read when it is opened. */
function KeptThinking({ turnId }: { turnId: string }) {
  const [open, setOpen] = useState(false);
  const { data } = useQuery({ ...thinking(turnId), enabled: open });
  return (
    <details className="step" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <Icon name="bulb" size={16} />
        {t("turn.thoughts")}
      </summary>
      <div className="thought" dir="auto" tabIndex={0}>
        {data?.map((round) => <p key={round.id}>{round.text}</p>) ?? t("app.loading")}
      </div>
    </details>
  );
}

function ToolCall({ tool }: { tool: Tool }) {
  const running = tool.success === null;
  return (
    <details className={tool.success === false ? "step failed" : "step"}>
      <summary>
        <Icon name={tool.name === "search_uploads" ? "search" : "tool"} size={16} />
        <span className={running ? "busy" : ""}>{tool.label || readable(tool.name)}</span>
        {asked(tool) && <bdi className="step-asked">{asked(tool)}</bdi>}
        <span className="step-time">{running ? t("turn.toolRunning") : outcome(tool)}</span>
      </summary>
      <div className="tool" tabIndex={0}>
        {tool.arguments && (
          <>
            <h4>{t("turn.toolAsked")}</h4>
            <pre>{JSON.stringify(tool.arguments, null, 2)}</pre>
          </>
        )}
        {tool.response !== null && (
          <>
            <h4>{t("turn.toolAnswered")}</h4>
            <pre dir="auto">{tool.response}</pre>
          </>
        )}
      </div>
    </details>
  );
}

function outcome(tool: Tool): string {
  if (tool.success === false) return t("turn.toolFailed");
  return tool.durationMs === null ? "" : `${number(tool.durationMs / 1000, 1)} s`;
}

/** The first text among a call's arguments: mostly what is looked for. */
function asked(tool: Tool): string {
  const text = Object.values(tool.arguments ?? {}).find((value): value is string => typeof value === "string");
  return text ? text.slice(0, 80) : "";
}

function readable(name: string): string {
  const words = name.replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
