/** Cuts Markdown into pieces that can be drawn by themselves, so that text that comes draws only its last piece. */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LIST = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/;
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:\s/m;

interface State {
  fence: string;
  math: boolean;
  list: boolean;
}

/** Return the pieces of `text`; all but the last stay what they are when more text comes. */
export function blocks(text: string): string[] {
  // A definition may be used anywhere, so such a text is one piece.
  if (DEFINITION.test(text)) return [text];
  const found: string[] = [];
  const state: State = { fence: "", math: false, list: false };
  let current: string[] = [];
  const lines = text.split("\n");
  for (const [at, line] of lines.entries()) {
    current.push(line);
    note(state, line);
    if (line.trim() === "" && !state.fence && !state.math && ends(state, lines[at + 1])) {
      if (current.some((each) => each.trim() !== "")) {
        found.push(current.join("\n"));
        current = [];
      }
      state.list = false;
    }
  }
  if (current.some((each) => each.trim() !== "")) found.push(current.join("\n"));
  return found;
}

function note(state: State, line: string): void {
  const fence = FENCE.exec(line)?.[1];
  const bare = line.trim();
  if (state.fence) {
    if (fence?.startsWith(state.fence) && bare === fence) state.fence = "";
  } else if (fence && !state.math) {
    state.fence = fence;
  } else if (opensMath(bare) || (state.math && bare.endsWith("$$"))) {
    state.math = !state.math;
  } else if (LIST.test(line)) {
    state.list = true;
  }
}

/** Whether a line begins (or, alone, ends) a formula that goes on below it. */
function opensMath(bare: string): boolean {
  return bare.startsWith("$$") && !bare.slice(2).includes("$$");
}

/** Whether a blank line before `next` ends what came before: a list goes on with its next item or what is indented. */
function ends(state: State, next: string | undefined): boolean {
  if (next === undefined) return false;
  if (!state.list) return !/^(\t| {4})/.test(next);
  return !(LIST.test(next) || /^(\t| {2})/.test(next) || next.trim() === "");
}

/** Turn the brackets that models write mathematics in into dollars, outside code. */
export function mathDollars(text: string): string {
  return text
    .split(/(```[\s\S]*?(?:```|$)|`[^`\n]*`)/)
    .map((part, at) =>
      at % 2 === 1
        ? part
        : part
            .replace(/\\\[([\s\S]*?)\\\]/g, (_, inner: string) => `\n$$\n${inner.trim()}\n$$\n`)
            .replace(/\\\(([\s\S]*?)\\\)/g, (_, inner: string) => `$$${inner.trim()}$$`),
    )
    .join("");
}

export function hasMath(text: string): boolean {
  return /\$\$|\\\(|\\\[/.test(text);
}
