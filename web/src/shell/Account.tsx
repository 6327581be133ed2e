import { useRouter } from "@tanstack/react-router";
import { useId, useState } from "react";
import { creditsOf } from "../api/queries";
import type { Profile } from "../api/types";
import { choose, credits, LANGUAGES, type Language, t, useLanguage } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/icons";
import { setTheme, type Theme, theme } from "../ui/theme";
import { goodbye } from "./leaving";

const THEMES = { system: "shell.themeSystem", light: "shell.themeLight", dark: "shell.themeDark" } as const;

/** Who is signed in, how the page looks, and the way out. */
export default function Account({ profile, onClose }: { profile: Profile; onClose: () => void }) {
  const router = useRouter();
  const language = useLanguage();
  const [chosen, setChosen] = useState<Theme>(theme);
  const field = useId();
  return (
    <Dialog label={t("shell.account")} onClose={onClose}>
      <h2>{t("shell.account")}</h2>
      <p className="account-who">
        <bdi>{profile.email}</bdi>
        <span>{credits(creditsOf(profile))}</span>
      </p>
      <fieldset>
        <legend>{t("shell.theme")}</legend>
        <div className="segments">
          {(Object.keys(THEMES) as Theme[]).map((name) => (
            <label key={name}>
              <input
                checked={chosen === name}
                name="theme"
                onChange={() => {
                  setTheme(name);
                  setChosen(name);
                }}
                type="radio"
              />
              <span>{t(THEMES[name])}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <label htmlFor={field}>{t("shell.language")}</label>
      <select id={field} onChange={(event) => void choose(event.target.value as Language)} value={language}>
        {Object.entries(LANGUAGES).map(([tag, name]) => (
          <option key={tag} lang={tag} value={tag}>
            {name}
          </option>
        ))}
      </select>
      <div className="account-end">
        <a href="/docs">{t("shell.docs")}</a>
        <button className="small-button" onClick={() => void goodbye(router)} type="button">
          <Icon name="out" size={16} />
          {t("shell.signOut")}
        </button>
      </div>
    </Dialog>
  );
}
