import { useQuery } from "@tanstack/react-query";
import { assistants } from "../api/queries";
import type { Assistant } from "../api/types";
import { t } from "../i18n";

/** How many are offered before somebody asks for the rest by a menu of the browser's own. */
const SHOWN = 6;

/** Under whom a new conversation runs; nothing where there is no choice. */
export default function Assistants(props: { chosen: string | null; onChoose: (assistant: Assistant | null) => void }) {
  const { chosen, onChoose } = props;
  const { data } = useQuery(assistants);
  const offered = (data ?? []).filter((one) => one.status === "active");
  if (offered.length === 0) return null;
  const choose = (id: string) => onChoose(id === chosen ? null : (offered.find((one) => one._id === id) ?? null));
  return (
    <section aria-label={t("chat.assistants")} className="assistants">
      {offered.slice(0, SHOWN).map((one) => (
        <button
          aria-pressed={chosen === one._id}
          className="assistant"
          key={one._id}
          onClick={() => choose(one._id)}
          type="button"
        >
          <bdi className="assistant-name">{one.name}</bdi>
          {one.description && (
            <span className="assistant-about" dir="auto">
              {one.description}
            </span>
          )}
        </button>
      ))}
      {offered.length > SHOWN && (
        <select
          aria-label={t("chat.moreAssistants")}
          onChange={(event) => event.target.value && choose(event.target.value)}
          value={offered.slice(SHOWN).some((one) => one._id === chosen) ? (chosen ?? "") : ""}
        >
          <option value="">{t("chat.moreAssistants")}</option>
          {offered.slice(SHOWN).map((one) => (
            <option key={one._id} value={one._id}>
              {one.name}
            </option>
          ))}
        </select>
      )}
    </section>
  );
}
