/** Signing out, and being signed out: nothing of a person stays in the page. */

import type { Register } from "@tanstack/react-router";
import { client, session, signOut } from "../api/queries";
import { dropAll } from "../chat/drafts";
import { forgetAbout } from "../files/scope";
import { forgetAll } from "../files/uploads";
import { leave } from "../live/asking";
import { close } from "../live/socket";
import { tell } from "./tabs";

type Router = Register["router"];

/** The person leaves: also what he has written and not sent. */
export async function goodbye(router: Router): Promise<void> {
  // Before the server closes it: the library would write into what is closing.
  close();
  await signOut();
  dropAll();
  tell({ type: "signed-out" });
  await forget(router, {});
}

/** The session has ended somewhere else; drafts stay for who comes back. */
export function signedOut(router: Router): void {
  const here = router.state.location.pathname;
  if (here === "/signin") return;
  void forget(router, { ended: true, ...(here === "/" ? {} : { next: here }) });
}

async function forget(router: Router, search: { ended?: boolean; next?: string }): Promise<void> {
  leave();
  forgetAll();
  forgetAbout();
  client.clear();
  client.setQueryData(session.queryKey, { profile: null, csrfToken: null, expires: null, challenge: null });
  await router.navigate({ to: "/signin", search });
  // Whether anybody may sign up here is the server's to say.
  await client.invalidateQueries(session).catch(() => undefined);
}
