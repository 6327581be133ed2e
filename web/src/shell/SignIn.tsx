import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, type SubmitEvent, Suspense, useId, useRef, useState } from "react";
import { client, session, signIn } from "../api/queries";
import type { Challenge } from "../api/types";
import { t } from "../i18n";
import { Mark } from "../ui/icons";
import type { Task } from "./ByMail";
import { CodeStep } from "./CodeStep";
import { whyNot } from "./comingBack";
import { go } from "./going";
import { Password } from "./Password";
import { said } from "./refusal";

const ByMail = lazy(() => import("./ByMail"));

export function SignIn({ next, ended }: { next: string; ended: boolean }) {
  const navigate = useNavigate();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [task, setTask] = useState<Task | null>(null);
  const open = useQuery(session).data?.signUp;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(whyNot);
  const [challenge, setChallenge] = useState<Challenge | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const [emailId, errorId] = [useId(), useId()];

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
  if (task && !challenge) {
    return (
      <Suspense fallback={null}>
        <ByMail email={email} next={next} onBack={() => setTask(null)} onChallenge={setChallenge} task={task} />
      </Suspense>
    );
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
        <Password onChange={setPassword} ref={field} value={password} />
        <p className="form-error" id={errorId} role="alert">
          {error}
        </p>
        <button className="button wide" disabled={busy} type="submit">
          {t(busy ? "signin.busy" : "signin.submit")}
        </button>
        <div className="signin-else">
          <button className="link-button" onClick={() => setTask("reset")} type="button">
            {t("signin.forgotten")}
          </button>
          {open && (
            <button className="link-button" onClick={() => setTask("signUp")} type="button">
              {t("signin.signUp")}
            </button>
          )}
        </div>
      </form>
    </main>
  );
}
