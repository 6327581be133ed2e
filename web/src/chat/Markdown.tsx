/** An answer's Markdown. Loaded with the first answer; mathematics with the first formula. */

import { type ComponentProps, memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeSanitize, { defaultSchema } from "rehype-sanitize";
import remarkGfm from "remark-gfm";
import type { Source } from "../api/types";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import "../styles/prose.css";
import { blocks, hasMath, mathDollars } from "./blocks";
import { Citation } from "./Citation";
import { citations } from "./citations";
import type { MathKit } from "./math";

type Plugins = NonNullable<ComponentProps<typeof ReactMarkdown>["rehypePlugins"]>;

/** Answers are strangers' text: no pictures (they would tell their server who reads), no addresses but these. */
const SCHEMA = {
  ...defaultSchema,
  tagNames: (defaultSchema.tagNames ?? []).filter((name) => !["input", "picture", "source"].includes(name)),
  protocols: { ...defaultSchema.protocols, href: ["http", "https", "mailto"] },
  attributes: {
    ...defaultSchema.attributes,
    code: [["className", /^language-[\w+#.-]{1,40}$/, "math-inline", "math-display"]],
  } as typeof defaultSchema.attributes,
};

export default function Markdown(props: { text: string; sources: Source[]; turnId: string | null; coming: boolean }) {
  const { text, sources, turnId, coming } = props;
  const prepared = useMemo(() => (hasMath(text) ? mathDollars(text) : text), [text]);
  const math = useMath(hasMath(text));
  const pieces = useMemo(() => blocks(prepared), [prepared]);
  const numbers = useMemo(() => sources.map((source) => source.number).join(), [sources]);
  return (
    <div className={coming ? "prose coming" : "prose"} dir="auto">
      {pieces.map((piece, at) => (
        <Piece key={at} math={math} numbers={numbers} sources={sources} text={piece} turnId={turnId} />
      ))}
    </div>
  );
}

interface PieceProps {
  text: string;
  sources: Source[];
  numbers: string;
  turnId: string | null;
  math: MathKit | null;
}

const Piece = memo(
  function Piece({ text, sources, turnId, math }: PieceProps) {
    const components = useMemo(() => componentsFor(sources, turnId, math), [sources, turnId, math]);
    const numbers = useMemo(() => new Set(sources.map((source) => source.number)), [sources]);
    const rehype: Plugins = [
      [rehypeSanitize, SCHEMA],
      [citations, numbers],
    ];
    const remark: Plugins = [remarkGfm, ...(math ? [math.remark] : [])];
    return (
      <ReactMarkdown components={components} rehypePlugins={rehype} remarkPlugins={remark}>
        {text}
      </ReactMarkdown>
    );
  },
  (before, after) =>
    before.text === after.text &&
    before.numbers === after.numbers &&
    before.turnId === after.turnId &&
    before.math === after.math,
);

let loadedMath: MathKit | null = null;

function useMath(wanted: boolean): MathKit | null {
  const [math, setMath] = useState(loadedMath);
  useEffect(() => {
    if (!wanted || math) return;
    let here = true;
    void import("./math").then((module) => {
      loadedMath = module.MATH;
      if (here) setMath(module.MATH);
    });
    return () => {
      here = false;
    };
  }, [wanted, math]);
  return wanted ? math : null;
}

function componentsFor(sources: Source[], turnId: string | null, math: MathKit | null): Components {
  return {
    a: ({ href, children, ...rest }) => {
      const cited = (rest as Record<string, unknown>)["data-cite"];
      const source = sources.find((each) => String(each.number) === cited);
      if (source) return <Citation source={source} turnId={turnId} />;
      // An address without a server would lead into this one, in the reader’s name.
      if (!/^(https?:\/\/|mailto:)/i.test(href ?? "")) return <span>{children}</span>;
      return (
        <a href={href} rel="noopener noreferrer nofollow" target="_blank">
          {children}
        </a>
      );
    },
    img: ({ alt, src }) => <LeftOut alt={alt ?? ""} src={typeof src === "string" ? src : ""} />,
    code: ({ className = "", children }) => {
      if (!math || !className.includes("math-")) return <code className={className}>{children}</code>;
      return <math.Formula display={className.includes("math-display")} source={children as string} />;
    },
    pre: ({ children }) =>
      classOf(children).includes("math-display") ? <div>{children}</div> : <Code>{children}</Code>,
    table: ({ children }) => (
      <div className="table" tabIndex={0}>
        <table>{children}</table>
      </div>
    ),
  };
}

function LeftOut({ alt, src }: { alt: string; src: string }) {
  const name = t("turn.imageLeftOut", { name: alt || src });
  if (!/^https?:/.test(src)) return <span>{name}</span>;
  return (
    <a href={src} rel="noopener noreferrer nofollow" target="_blank">
      {name}
    </a>
  );
}

function Code({ children }: { children: ReactNode }) {
  const shown = useRef<HTMLPreElement>(null);
  const [copied, setCopied] = useState(false);
  const language = /language-([\w+#.-]+)/.exec(classOf(children))?.[1] ?? "";
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(shown.current?.textContent ?? "");
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  }
  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{language}</span>
        <button className="quiet-button" onClick={() => void copy()} type="button">
          <Icon name={copied ? "check" : "copy"} size={15} />
          {copied ? t("turn.copied") : t("turn.codeCopy")}
        </button>
      </figcaption>
      <pre ref={shown} tabIndex={0}>
        {children}
      </pre>
    </figure>
  );
}

function classOf(children: ReactNode): string {
  const props = (children as { props?: { className?: string } } | null)?.props;
  return props?.className ?? "";
}
