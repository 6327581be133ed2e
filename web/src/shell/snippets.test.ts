import { expect, test } from "vitest";
import { snippet } from "./snippets";

function marked(texts: string[], wanted: string): string {
  return snippet(texts, wanted)
    .map(({ text, hit }) => (hit ? `[${text}]` : text))
    .join("");
}

test("a snippet shows where the words are", () => {
  expect(marked(["What is it?", "A **Quince** is a fruit.\n\nQuinces are hard."], "quince")).toBe(
    "A [Quince] is a fruit. [Quince]s are hard.",
  );
  expect(marked(["one", "two"], "three")).toBe("two");
  expect(marked(["one", "two"], "?!")).toBe("two");
  expect(marked(["reappear appear"], "app")).toBe("reappear [app]ear");
  expect(marked(["天気は晴れです"], "晴れ")).toBe("天気は[晴れ]です");
  expect(marked(["a.c abc"], "a.c")).toBe("[a].[c] [a]b[c]".replace("b[c]", "bc"));
});

test("a snippet of a long text is short, and begins at a word", () => {
  const long = `${"before ".repeat(50)}needle ${"after ".repeat(50)}`;
  const shown = marked([long], "needle");
  expect(shown).toMatch(/^…before .*\[needle\] after .*…$/);
  expect(shown.length).toBeLessThan(170);
});
