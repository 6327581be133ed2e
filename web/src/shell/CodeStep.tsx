import { useNavigate } from "@tanstack/react-router";
import { type SubmitEvent, useId, useRef, useState } from "react";
import { client, resendCode, session, verifyCode } from "../api/queries";
import type { Challenge } from "../api/types";
import { t } from "../i18n";
import { Mark } from "../ui/icons";
import { go } from "./going";
import { said } from "./refusal";

/** The second step at sign-in. */
export function CodeStep({ challenge, next, leave }: { challenge: Challenge; next: string; leave: () => void }) {
  const navigate = useNavigate();
  const [current, setCurrent] = useState(challenge);
  const [code, setCode] = useState("");
  const [trust, setTrust] = useState(false);
  const [busy, setBusy] = useState(false);
  const [note, setNote] = useState("");
  const [good, setGood] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const [codeId, noteId] = [useId(), useId()];

  async function attempt(work: () => Promise<void>): Promise<void> {
    setBusy(true);
    setNote("");
    setGood(false);
    try {
      await work();
    } catch (failure) {
      setNote(said(failure));
    }
    setBusy(false);
    field.current?.select();
  }
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    await attempt(async () => {
      client.setQueryData(session.queryKey, await verifyCode(current.challengeId, code, trust));
      await go(navigate, next);
    });
  }
  async function again(): Promise<void> {
    await attempt(async () => {
      setCurrent(await resendCode(current.challengeId));
      setNote(t("signin.resent"));
      setGood(true);
    });
  }
  return (
    <main className="signin">
      <form aria-describedby={note ? noteId : undefined} className="card" onSubmit={(event) => void submit(event)}>
        <Mark size={44} />
        <h1>{t("signin.codeTitle")}</h1>
        <p className="lead">
          {current.method === "email" ? t("signin.codeMail", { email: current.maskedEmail }) : t("signin.codeApp")}
        </p>
        <label htmlFor={codeId}>{t("signin.code")}</label>
        <input
          autoComplete="one-time-code"
          autoFocus
          id={codeId}
          maxLength={64}
          onChange={(event) => setCode(event.target.value)}
          ref={field}
          required
          type="text"
          value={code}
        />
        <label className="choice">
          <input checked={trust} onChange={(event) => setTrust(event.target.checked)} type="checkbox" />
          {t("signin.trust")}
        </label>
        <p className={good ? "form-note" : "form-error"} id={noteId} role={good ? "status" : "alert"}>
          {note}
        </p>
        <button className="button wide" disabled={busy} type="submit">
          {t(busy ? "signin.busy" : "signin.confirm")}
        </button>
        {current.method === "email" && (
          <button className="button quiet wide" disabled={busy} onClick={() => void again()} type="button">
            {t("signin.resend")}
          </button>
        )}
        <button className="button quiet wide" onClick={leave} type="button">
          {t("signin.back")}
        </button>
      </form>
    </main>
  );
}
