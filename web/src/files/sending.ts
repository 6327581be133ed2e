/** Sending one file. `fetch` cannot tell how far it is, so this is the one place that does without it. */

import { ApiError, mended, proof, refusal } from "../api/http";

export interface Kept {
  uploadId: string;
  duplicate: boolean;
}

interface Sending {
  /** How much has gone out, from 0 to 1. */
  onShare: (share: number) => void;
  signal: AbortSignal;
}

interface Uploaded {
  files: { success: boolean; uploadId: string | null; duplicate: boolean; code: string | null; message: string }[];
}

/** Put a file into a vault: the person's own, or that of `twin` (an id). Throws ApiError; status 0: nobody answered. */
export async function sendFile(file: File, twin: string | null, sending: Sending): Promise<Kept> {
  try {
    return await once(file, twin, sending);
  } catch (error) {
    if (!(error instanceof ApiError) || !(await mended(error))) throw error;
    return await once(file, twin, sending);
  }
}

function once(file: File, twin: string | null, { onShare, signal }: Sending): Promise<Kept> {
  const form = new FormData();
  if (twin) form.append("institution", twin);
  form.append("files", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/user/files");
    for (const [name, value] of Object.entries(proof("POST"))) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total > 0) onShare(event.loaded / event.total);
    };
    request.onload = () => {
      try {
        resolve(read(request));
      } catch (error) {
        reject(error instanceof Error ? error : new ApiError("unreadable", 0, ""));
      }
    };
    request.onerror = () => reject(new ApiError("unreachable", 0, ""));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function read(request: XMLHttpRequest): Kept {
  const { status, responseText } = request;
  if (status < 200 || status > 299) throw refusal(status, request.getResponseHeader("retry-after"), responseText);
  const [taken] = (JSON.parse(responseText) as Uploaded).files;
  if (!taken?.success || !taken.uploadId) throw new ApiError(taken?.code ?? "unreadable", 422, taken?.message ?? "");
  return { uploadId: taken.uploadId, duplicate: taken.duplicate };
}
