/** What links in mails lead to. Nothing happens by opening one: somebody else may have sent it. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { json } from "../api/http";
import { session } from "../api/queries";
import type { Membership } from "../api/types";
import { type Key, t } from "../i18n";
import { said } from "./refusal";

/** `/join?institution=…&key=…`: become a member of a twin. */
export function Join() {
  const [membership, setMembership] = useState<Membership | null>(null);
  const asked = new URLSearchParams(location.search);
  const me = useMe();
  async function join(): Promise<void> {
    const body = { institution: asked.get("institution") ?? "", referrer: me, key: asked.get("key") ?? "" };
    setMembership((await json<{ ui: Membership }>("/api/user/institutionJoin", { method: "PUT", body })).ui);
  }
  async function enter(): Promise<void> {
    if (!membership) return;
    await json(`/api/user/userInstitutionSwitch/${membership._id}`, { method: "POST" });
    location.assign("/");
  }
  if (membership?.status === "pending") return <Step lead="link.pending" />;
  if (membership) return <Step action="link.enter" lead="link.joined" onDo={enter} />;
  return <Step action="link.join" lead="link.invited" onDo={join} />;
}

/** `/approve?membership=…`: let somebody in who asked for it. */
export function Approve() {
  const [done, setDone] = useState(false);
  const me = useMe();
  async function approve(): Promise<void> {
    const membership = new URLSearchParams(location.search).get("membership") ?? "";
    await json("/api/user/approveUid", { method: "POST", body: { ref: me, uI: membership } });
    setDone(true);
  }
  return done ? <Step lead="link.approved" /> : <Step action="link.approve" lead="link.asked" onDo={approve} />;
}

function Step({ lead, action, onDo }: { lead: Key; action?: Key; onDo?: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  async function act(): Promise<void> {
    setBusy(true);
    setError("");
    try {
      await onDo?.();
    } catch (failure) {
      setError(said(failure));
    }
    setBusy(false);
  }
  return (
    <div className="centre">
      <p role="status">{t(lead)}</p>
      <p className="form-error" role="alert">
        {error}
      </p>
      {action && (
        <button className="button" disabled={busy} onClick={() => void act()} type="button">
          {t(action)}
        </button>
      )}
    </div>
  );
}

function useMe(): string {
  return useQuery(session).data?.profile?._id ?? "";
}
