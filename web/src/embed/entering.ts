/** Being somebody in a frame: a launch becomes a token, which is kept in this page's memory and nowhere else. */

import { json, speakFor } from "../api/http";
import { client, session } from "../api/queries";
import type { Profile } from "../api/types";
import type { Launch } from "./protocol";

/** Sign in by a launch. Throws ApiError. */
export async function enter(publicId: string, launch: Launch): Promise<void> {
  speakFor("");
  await json("/api/auth/sdk-verify", { method: "POST", body: launch, quiet: true });
  const { email = "", userid = "", fname = "", lname = "" } = launch.params;
  const body = {
    institution_id: publicId,
    nonce: launch.nonce,
    email: text(email),
    lxp_user_id: text(userid),
    fname: text(fname),
    lname: text(lname),
  };
  const signed = await json<{ token: string; profile: Profile }>("/api/auth/autosignup", {
    method: "POST",
    body,
    quiet: true,
  });
  speakFor(signed.token);
  client.setQueryData(session.queryKey, {
    profile: signed.profile,
    csrfToken: null,
    expires: null,
    challenge: null,
    maxFileBytes: null,
  });
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
