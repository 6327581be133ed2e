/** The part of a text that was searched for, as the server compares words (decision 031): by how they begin. */

export interface Piece {
  text: string;
  hit: boolean;
}

const BEFORE = 30;
const LONGEST = 160;
const LETTERS = String.raw`\p{L}\p{N}\p{M}`;

/** Return a line of one of the texts, around the first word that was looked for; else the beginning of the last one. */
export function snippet(texts: string[], wanted: string): Piece[] {
  const words = wanted.normalize("NFKC").match(new RegExp(`[${LETTERS}]+`, "gu")) ?? [];
  const lines = texts.map((text) =>
    text
      .replace(/[*`#|>~]+/g, "")
      .replace(/\s+/g, " ")
      .trim(),
  );
  // In scripts without blanks a word may stand anywhere.
  for (const start of [`(?<![${LETTERS}])`, ""]) {
    const pattern = new RegExp(`${start}(?:${words.join("|")})`, "giu");
    const line = words.length > 0 && lines.find((each) => each.search(pattern) >= 0);
    if (line) return parted(line, pattern);
  }
  return [{ text: cut(lines.at(-1) ?? "", 0), hit: false }];
}

function parted(line: string, pattern: RegExp): Piece[] {
  const shown = cut(line, Math.max(0, line.search(pattern) - BEFORE));
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of shown.matchAll(pattern)) {
    if (found.index > at) pieces.push({ text: shown.slice(at, found.index), hit: false });
    pieces.push({ text: found[0], hit: true });
    at = found.index + found[0].length;
  }
  if (at < shown.length) pieces.push({ text: shown.slice(at), hit: false });
  return pieces;
}

/** Return at most so much of a line from a place on, whole words where it can be. */
function cut(line: string, from: number): string {
  const blank = line.indexOf(" ", from);
  const start = from === 0 || blank < 0 || blank > from + BEFORE / 2 ? from : blank + 1;
  const end = start + LONGEST;
  return `${start > 0 ? "…" : ""}${line.slice(start, end)}${line.length > end ? "…" : ""}`;
}
