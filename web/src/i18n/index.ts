/** Texts in the reader's language. English comes with the page, others when they are wanted. */

import { useSyncExternalStore } from "react";
import { type Catalogue, en, type Key } from "./en";

export type { Key } from "./en";

export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = "twinspeak.language";
const RIGHT_TO_LEFT = /^(ar|fa|he|ur)\b/;

const loaders: Record<Exclude<Language, "en">, () => Promise<Catalogue>> = {
  de: async () => (await import("./de")).de,
};

let language: Language = "en";
let catalogue: Catalogue = en;
const listeners = new Set<() => void>();

/** Load the language that was chosen, or else that the browser prefers; the page is drawn after that. */
export async function start(): Promise<void> {
  const wanted = [kept(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  const found = wanted.find((tag): tag is Language => tag !== undefined && tag in LANGUAGES);
  await change(found ?? "en").catch(() => undefined);
}

export async function choose(wanted: Language): Promise<void> {
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    // Somebody who lets nothing be stored chooses again next time.
  }
  await change(wanted);
}

async function change(wanted: Language): Promise<void> {
  catalogue = wanted === "en" ? en : await loaders[wanted]();
  language = wanted;
  document.documentElement.lang = wanted;
  document.documentElement.dir = RIGHT_TO_LEFT.test(wanted) ? "rtl" : "ltr";
  for (const listener of listeners) listener();
}

function kept(): string | undefined {
  try {
    return localStorage.getItem(KEPT) ?? undefined;
  } catch {
    return undefined;
  }
}

export function useLanguage(): Language {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => language,
  );
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return catalogue[key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : value;
  });
}

export function credits(n: number): string {
  return t(new Intl.PluralRules(language).select(n) === "one" ? "credits.one" : "credits.other", { n });
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

export function when(date: Date): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date);
}
