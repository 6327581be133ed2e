import { useNavigate } from "@tanstack/react-router";
import { type SubmitEvent, useId, useRef, useState } from "react";
import { client, session, signIn } from "../api/queries";
import type { Challenge } from "../api/types";
import { t } from "../i18n";
import { Icon, Mark } from "../ui/icons";
import { CodeStep } from "./CodeStep";
import { whyNot } from "./comingBack";
import { go } from "./going";
import { said } from "./refusal";

export function SignIn({ next, ended }: { next: string; ended: boolean }) {
  const navigate = useNavigate();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(whyNot);
  const [challenge, setChallenge] = useState<Challenge | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const [emailId, passwordId, errorId] = [useId(), useId(), useId()];

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      const opened = await signIn(email, password);
      if (opened.challenge) {
        setChallenge(opened.challenge);
        setBusy(false);
        return;
      }
      client.setQueryData(session.queryKey, opened);
      await go(navigate, next);
    } catch (failure) {
      setError(said(failure));
      setBusy(false);
      field.current?.select();
    }
  }
  if (challenge) return <CodeStep challenge={challenge} leave={() => setChallenge(null)} next={next} />;
  return (
    <main className="signin">
      <form aria-describedby={error ? errorId : undefined} className="card" onSubmit={(event) => void submit(event)}>
        <Mark size={44} />
        <h1>{t("signin.title")}</h1>
        <p className="lead">{t(ended ? "signin.ended" : "signin.lead")}</p>
        <label htmlFor={emailId}>{t("signin.email")}</label>
        <input
          autoComplete="username"
          autoFocus
          id={emailId}
          onChange={(event) => setEmail(event.target.value)}
          required
          type="email"
          value={email}
        />
        <label htmlFor={passwordId}>{t("signin.password")}</label>
        <div className="field">
          <input
            autoComplete="current-password"
            id={passwordId}
            onChange={(event) => setPassword(event.target.value)}
            ref={field}
            required
            type={shown ? "text" : "password"}
            value={password}
          />
          <button
            aria-label={t(shown ? "signin.hide" : "signin.show")}
            aria-pressed={shown}
            className="icon-button"
            onClick={() => setShown(!shown)}
            type="button"
          >
            <Icon name="eye" />
          </button>
        </div>
        <p className="form-error" id={errorId} role="alert">
          {error}
        </p>
        <button className="button wide" disabled={busy} type="submit">
          {t(busy ? "signin.busy" : "signin.submit")}
        </button>
      </form>
    </main>
  );
}
