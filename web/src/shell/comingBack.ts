/** Back from an organisation's sign-in: `/#sso?code=…&state=…`, where the server has sent the browser. */

import { client, finishSso, session } from "../api/queries";
import { said } from "./refusal";

const MARK = "#sso?";
let refused = "";

/** Sign in with what the address says, if it does, and take that out of the address and of the browser's history. */
export async function comeBack(): Promise<void> {
  if (!location.hash.startsWith(MARK)) return;
  const given = new URLSearchParams(location.hash.slice(MARK.length));
  history.replaceState(null, "", "/");
  try {
    const signed = await finishSso(given.get("code") ?? "", given.get("state") ?? "");
    client.setQueryData(session.queryKey, signed);
  } catch (failure) {
    refused = said(failure);
  }
}

/** Why that did not work; "" when it did, or nobody came back. */
export function whyNot(): string {
  return refused;
}
