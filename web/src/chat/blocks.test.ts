import { expect, test } from "vitest";
import { blocks, mathDollars } from "./blocks";

const TEXT = [
  "# Title\n\nA paragraph\nof two lines.\n",
  "- one\n\n- two\n\n  still two\n",
  "```js\nconst a = 1;\n\nconst b = 2;\n```\n",
  "$$\nx\n\ny\n$$\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n",
  "    indented\n\n    code\n",
  "The end.",
].join("\n");

test("pieces that are not the last stay as they are while text comes", () => {
  for (let at = 1; at < TEXT.length; at++) {
    const before = blocks(TEXT.slice(0, at));
    const after = blocks(TEXT.slice(0, at + 1));
    expect(after.slice(0, Math.max(0, before.length - 1)), TEXT.slice(0, at)).toEqual(before.slice(0, -1));
  }
});

test("lists, code and formulas with blank lines in them are one piece each", () => {
  const pieces = blocks(TEXT);
  for (const whole of ["- one\n\n- two\n\n  still two", "const a = 1;\n\nconst b = 2;", "$$\nx\n\ny\n$$"]) {
    expect(pieces.filter((piece) => piece.includes(whole))).toHaveLength(1);
  }
});

test("nothing is lost", () => {
  expect(blocks(TEXT).join("\n").replaceAll(/\s+/g, "")).toBe(TEXT.replaceAll(/\s+/g, ""));
});

test("brackets of mathematics become dollars, but not in code", () => {
  expect(mathDollars("\\(a\\) and `\\(b\\)`")).toBe("$$a$$ and `\\(b\\)`");
  expect(mathDollars("```\n\\[c\\]\n```")).toBe("```\n\\[c\\]\n```");
});
