/** What the page reads of the vault, and how often it looks while something is being taken in. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { json } from "../api/http";
import type { Chunk, FileRow, FilesPage } from "../api/types";

const PAGE_SIZE = 50;
const FIRST_LOOK_MS = 700;
const LAST_LOOK_MS = 10_000;
const SLOWER = 1.6;

export const files = (name: string) =>
  infiniteQueryOptions({
    queryKey: ["files", name],
    queryFn: ({ pageParam }) =>
      json<FilesPage>("/api/user/uploads", {
        method: "POST",
        body: { lean: true, page: pageParam, pageSize: PAGE_SIZE, fileNameSearch: name },
      }),
    initialPageParam: 1,
    getNextPageParam: (page, _, at) => (page.hasMore ? at + 1 : undefined),
  });

export const file = (id: string) =>
  queryOptions({
    queryKey: ["file", id],
    queryFn: async () => (await json<{ data: FileRow }>(`/api/user/upload/${id}`)).data,
    staleTime: 0,
  });

export const chunks = (id: string) =>
  queryOptions({
    queryKey: ["chunks", id],
    queryFn: async () =>
      (await json<{ data: Chunk[] }>("/api/user/embeddings", { method: "POST", body: { upload: id } })).data,
    staleTime: 0,
  });

export function busy(row: FileRow): boolean {
  return row.ingestion.phase !== "done" && row.ingestion.phase !== "error";
}

/** Tells when to look again: soon after something has moved, ever later while nothing does, never when all is done. */
export function pacing(): (rows: readonly FileRow[] | undefined, looks: number) => number | false {
  let [seen, before, still] = [-1, "", 0];
  return (rows, looks) => {
    const moving = (rows ?? []).filter(busy);
    if (moving.length === 0) return false;
    if (looks !== seen) {
      const now = moving.map((row) => `${row._id} ${row.ingestion.phase} ${row.ingestion.progress}`).join("\n");
      still = now === before ? still + 1 : 0;
      [seen, before] = [looks, now];
    }
    return Math.min(FIRST_LOOK_MS * SLOWER ** still, LAST_LOOK_MS);
  };
}
