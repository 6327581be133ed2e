import { type Ref, useId, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/icons";

interface Props {
  value: string;
  onChange: (value: string) => void;
  /** Whether it is a new one, that is chosen here. */
  chosen?: boolean;
  ref?: Ref<HTMLInputElement>;
}

/** A password, and the way to see what was typed. */
export function Password({ value, onChange, chosen = false, ref }: Props) {
  const [shown, setShown] = useState(false);
  const [id, hintId] = [useId(), useId()];
  return (
    <>
      <label htmlFor={id}>{t(chosen ? "signup.password" : "signin.password")}</label>
      <div className="field">
        <input
          aria-describedby={chosen ? hintId : undefined}
          autoComplete={chosen ? "new-password" : "current-password"}
          id={id}
          minLength={chosen ? 8 : undefined}
          onChange={(event) => onChange(event.target.value)}
          ref={ref}
          required
          type={shown ? "text" : "password"}
          value={value}
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
      {chosen && (
        <p className="hint" id={hintId}>
          {t("signup.rule")}
        </p>
      )}
    </>
  );
}
