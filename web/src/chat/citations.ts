/** Makes a button of every [number] that is a source of the answer; any other bracket is text. */

import type { Element, ElementContent, Root, Text } from "hast";

const MARKS = /\[(\d{1,4})\]/g;
const LITERAL = new Set(["code", "pre", "a"]);

export function citations(numbers: ReadonlySet<number>): (tree: Root) => void {
  return (tree) => {
    if (numbers.size > 0) visit(tree, numbers);
  };
}

function visit(parent: Root | Element, numbers: ReadonlySet<number>): void {
  const children: ElementContent[] = [];
  for (const child of parent.children as ElementContent[]) {
    if (child.type === "text") {
      children.push(...split(child, numbers));
    } else {
      if (child.type === "element" && !LITERAL.has(child.tagName)) visit(child, numbers);
      children.push(child);
    }
  }
  parent.children = children;
}

function split(text: Text, numbers: ReadonlySet<number>): ElementContent[] {
  const parts: ElementContent[] = [];
  let at = 0;
  for (const mark of text.value.matchAll(MARKS)) {
    const number = Number(mark[1]);
    if (!numbers.has(number)) continue;
    // The blank before a mark would part it from the word that it belongs to at the end of a line.
    const before = text.value.slice(at, mark.index).replace(/ $/, "\u00a0");
    if (before) parts.push({ type: "text", value: before });
    parts.push({ type: "element", tagName: "a", properties: { dataCite: String(number) }, children: [] });
    at = mark.index + mark[0].length;
  }
  if (at === 0) return [text];
  if (at < text.value.length) parts.push({ type: "text", value: text.value.slice(at) });
  return parts;
}
