import { expect, test } from "vitest";
import { de } from "./de";
import { en, type Key } from "./en";

test("every language fills in the same values", () => {
  const values = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  for (const key of Object.keys(en) as Key[]) expect(values(de[key]), key).toEqual(values(en[key]));
});
