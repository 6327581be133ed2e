/** Mathematics by KaTeX, drawn into the page node by node: as HTML it would carry styles that the page's policy bars. */

import katex from "katex";
import { useLayoutEffect, useRef } from "react";
import type { Options } from "react-markdown";
import remarkMath from "remark-math";
import "katex/dist/katex.min.css";

type Plugin = NonNullable<Options["remarkPlugins"]>[number];

/** One dollar is money; two are mathematics. */
const remark: Plugin = [remarkMath, { singleDollarTextMath: false }];

function Formula({ source, display }: { source: string; display: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (!place.current) return;
    katex.render(source, place.current, {
      displayMode: display,
      throwOnError: false,
      strict: "ignore",
      trust: false,
      maxExpand: 200,
      maxSize: 50,
    });
  }, [source, display]);
  return <span dir="ltr" ref={place} />;
}

export const MATH = { remark, Formula };
export type MathKit = typeof MATH;
