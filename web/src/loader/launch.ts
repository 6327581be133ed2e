/** Getting a launch: from the site's own server, or by having what this page says signed. */

import type { Launch } from "../embed/protocol";
import type { Options } from "./types";

/** What somebody is called of whom the page says nothing: the server tells browsers apart, not names. */
const VISITOR = "visitor";

/** Return a launch. Throws an Error whose message is a code. */
export async function launchOf(base: string, { twin, user, launch }: Options): Promise<Launch> {
  if (typeof launch === "function") return await launch();
  if (launch) return launch;
  const params = {
    ...user,
    ...(user?.email || user?.userid !== undefined ? {} : { userid: VISITOR }),
    institutionid: twin,
  };
  let response: Response;
  try {
    response = await fetch(`${base}/api/auth/sdk-sign`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      credentials: "omit",
      body: JSON.stringify({ params, institutionId: twin }),
    });
  } catch {
    // A site that is not listed is not even told that it is not.
    throw new Error("origin_not_allowed");
  }
  const body = (await response.json()) as Launch & { error?: { code: string } };
  if (!response.ok) throw new Error(body.error?.code ?? "unreachable");
  return { params, launch_token: body.launch_token, nonce: body.nonce, timestamp: body.timestamp };
}
