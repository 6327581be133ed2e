/** Questions that are not sent yet, on this device, until they are sent or their owner signs out. */

const PREFIX = "twinspeak.draft.";

export function kept(key: string): string {
  try {
    return localStorage.getItem(PREFIX + key) ?? "";
  } catch {
    return "";
  }
}

export function keep(key: string, text: string): void {
  try {
    if (text) localStorage.setItem(PREFIX + key, text);
    else localStorage.removeItem(PREFIX + key);
  } catch {
    // Nothing may be stored here, or nothing more: the draft lives as long as the page.
  }
}

export function drop(key: string): void {
  keep(key, "");
}

export function dropAll(): void {
  try {
    for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name);
  } catch {
    // There is nothing then.
  }
}
