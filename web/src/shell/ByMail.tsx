import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, type SubmitEvent, useId, useState } from "react";
import { askToReset, askToSignUp, client, confirmSignUp, session, setPassword, signIn } from "../api/queries";
import type { Challenge } from "../api/types";
import { type Key, t } from "../i18n";
import { Mark } from "../ui/icons";
import { go } from "./going";
import { Password } from "./Password";
import { said } from "./refusal";

export type Task = "signUp" | "reset";

interface Props {
  task: Task;
  email: string;
  next: string;
  onBack: () => void;
  onChallenge: (challenge: Challenge) => void;
}

/**
 * Making an account, and setting a new password, by a code that is mailed. Neither tells whether there is an account:
 * what is shown is the same, and only who reads the mailbox learns more.
 */
export default function ByMail({ task, email: given, next, onBack, onChallenge }: Props) {
  const navigate = useNavigate();
  const [email, setEmail] = useState(given);
  const [password, setOwnPassword] = useState("");
  const [names, setNames] = useState({ fname: "", lname: "" });
  const [code, setCode] = useState("");
  const [sent, setSent] = useState(false);
  const { busy, note, attempt } = useAttempts();
  const signsUp = task === "signUp";
  const title = signsUp ? "signup.title" : "reset.title";

  const ask = () => (signsUp ? askToSignUp({ email, password, ...names }) : askToReset(email));
  async function finish(): Promise<void> {
    if (signsUp) client.setQueryData(session.queryKey, await confirmSignUp(email, code));
    else {
      await setPassword(email, code, password);
      const opened = await signIn(email, password);
      if (opened.challenge) {
        onChallenge(opened.challenge);
        return;
      }
      client.setQueryData(session.queryKey, opened);
    }
    await go(navigate, next);
  }
  if (!sent) {
    return (
      <Card
        busy={busy}
        lead={t(signsUp ? "signup.lead" : "reset.lead")}
        note={note}
        onBack={onBack}
        onSubmit={() =>
          attempt(async () => {
            await ask();
            setSent(true);
          })
        }
        submit="signup.send"
        title={title}
      >
        {signsUp && (
          <Line complete="given-name" first label="signup.fname" on={(fname) => setNames({ ...names, fname })} />
        )}
        {signsUp && <Line complete="family-name" label="signup.lname" on={(lname) => setNames({ ...names, lname })} />}
        <Line complete="username" first={!signsUp} initial={given} label="signin.email" on={setEmail} type="email" />
        {signsUp && <Password chosen onChange={setOwnPassword} value={password} />}
      </Card>
    );
  }
  return (
    <Card
      busy={busy}
      key="code"
      lead={t(signsUp ? "signup.sent" : "reset.sent", { email })}
      note={note}
      onAgain={() =>
        attempt(async () => {
          await ask();
          return t("signin.resent");
        })
      }
      onBack={onBack}
      onSubmit={() => attempt(finish)}
      submit="signin.confirm"
      title={title}
    >
      <Line complete="one-time-code" first label="signup.code" on={setCode} />
      {!signsUp && <Password chosen onChange={setOwnPassword} value={password} />}
    </Card>
  );
}

interface Note {
  text: string;
  good: boolean;
}

const NOTHING: Note = { text: "", good: false };

/** What is tried, one at a time, and what there is to say about it. */
function useAttempts() {
  const [busy, setBusy] = useState(false);
  const [note, setNote] = useState(NOTHING);
  async function attempt(work: () => Promise<unknown>): Promise<void> {
    setBusy(true);
    setNote(NOTHING);
    try {
      const done = await work();
      if (typeof done === "string") setNote({ text: done, good: true });
    } catch (failure) {
      setNote({ text: said(failure), good: false });
    }
    setBusy(false);
  }
  return { busy, note, attempt };
}

interface CardProps {
  title: Key;
  lead: string;
  note: Note;
  submit: Key;
  busy: boolean;
  onSubmit: () => Promise<void>;
  onAgain?: () => Promise<void>;
  onBack: () => void;
  children: ReactNode;
}

function Card({ title, lead, note, submit, busy, onSubmit, onAgain, onBack, children }: CardProps) {
  const noteId = useId();
  function send(event: SubmitEvent): void {
    event.preventDefault();
    void onSubmit();
  }
  return (
    <main className="signin">
      <form aria-describedby={note.text ? noteId : undefined} className="card" onSubmit={send}>
        <Mark size={44} />
        <h1>{t(title)}</h1>
        <p className="lead" role="status">
          {lead}
        </p>
        {children}
        <p className={note.good ? "form-note" : "form-error"} id={noteId} role={note.good ? "status" : "alert"}>
          {note.text}
        </p>
        <button className="button wide" disabled={busy} type="submit">
          {t(busy ? "signup.busy" : submit)}
        </button>
        {onAgain && (
          <button className="button quiet wide" disabled={busy} onClick={() => void onAgain()} type="button">
            {t("signin.resend")}
          </button>
        )}
        <button className="button quiet wide" onClick={onBack} type="button">
          {t("signin.back")}
        </button>
      </form>
    </main>
  );
}

interface LineProps {
  label: Key;
  complete: "given-name" | "family-name" | "username" | "one-time-code";
  initial?: string;
  /** Whether somebody begins here. */
  first?: boolean;
  type?: "email" | "text";
  on: (value: string) => void;
}

/** A line to be filled in. Names may be left out. */
function Line({ label, complete, initial = "", first = false, type = "text", on }: LineProps) {
  const id = useId();
  const name = complete.endsWith("-name");
  return (
    <>
      <label htmlFor={id}>{t(label)}</label>
      <input
        autoComplete={complete}
        autoFocus={first}
        defaultValue={initial}
        dir={name ? "auto" : undefined}
        id={id}
        maxLength={name ? 100 : complete === "username" ? 254 : 64}
        onChange={(event) => on(event.target.value)}
        required={!name}
        type={type}
      />
    </>
  );
}
