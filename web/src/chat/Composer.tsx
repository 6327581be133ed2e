import { type KeyboardEvent, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { drop, keep, kept } from "./drafts";

/** What the server takes in one question, with room for the rest of the body. */
const MOST = 100_000;

export interface ComposerHandle {
  /** Put a text in and go there; return what was there. */
  write: (text: string) => string;
  focus: () => void;
}

interface Props {
  draftKey: string;
  name: string;
  answering: boolean;
  onSend: (text: string) => void;
  onStop: () => void;
  ref: Ref<ComposerHandle>;
}

/** Where questions are written. What is not sent yet survives everything. */
export function Composer({ draftKey, name, answering, onSend, onStop, ref }: Props) {
  const [text, setText] = useState(() => kept(draftKey));
  const field = useRef<HTMLTextAreaElement>(null);
  useImperativeHandle(ref, () => ({
    write(given) {
      change(given);
      field.current?.focus();
      return text;
    },
    focus: () => field.current?.focus(),
  }));
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);

  function change(given: string): void {
    setText(given);
    keep(draftKey, given);
  }
  function submit(): void {
    const question = text.trim();
    if (!question || question.length > MOST) return;
    onSend(question);
    setText("");
    drop(draftKey);
  }
  function key(event: KeyboardEvent): void {
    const touch = matchMedia("(pointer: coarse)").matches;
    if (event.key !== "Enter" || event.shiftKey || touch || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  }
  const ready = text.trim() !== "" && text.trim().length <= MOST;
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="composer-box">
        <textarea
          aria-label={t("chat.write", { name })}
          autoComplete="off"
          dir="auto"
          enterKeyHint="send"
          onChange={(event) => change(event.target.value)}
          onKeyDown={key}
          placeholder={t("chat.writeHint", { name })}
          ref={field}
          rows={1}
          value={text}
        />
        {answering && (
          <button
            aria-label={t("chat.stop")}
            className="round-button stop"
            onClick={onStop}
            title={t("chat.stop")}
            type="button"
          >
            <Icon name="stop" size={20} />
          </button>
        )}
        {(!answering || ready) && (
          <button
            aria-label={t("chat.send")}
            className="round-button"
            disabled={!ready}
            title={t("chat.send")}
            type="submit"
          >
            <Icon name="send" size={20} />
          </button>
        )}
      </div>
      <p className="composer-note">
        {text.length > MOST ? t("chat.tooLong", { n: text.length, most: MOST }) : t("chat.note")}
      </p>
    </form>
  );
}
