/** What the tabs of one browser tell one another, so that none shows what is over. */

export type News =
  | { type: "asked" }
  | { type: "ended"; courseId: number }
  | { type: "changed" }
  | { type: "moved" }
  | { type: "signed-out" };

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("twinspeak");

export function tell(news: News): void {
  channel?.postMessage(news);
}

export function listen(listener: (news: News) => void): () => void {
  const heard = (event: MessageEvent<News>) => listener(event.data);
  channel?.addEventListener("message", heard);
  return () => channel?.removeEventListener("message", heard);
}
