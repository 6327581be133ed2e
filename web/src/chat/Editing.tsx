import { t } from "../i18n";
import { Icon } from "../ui/icons";

/** Above the composer: what is in it takes an earlier question's place. */
export function Editing({ onCancel }: { onCancel: () => void }) {
  return (
    <div className="editing" role="status">
      <Icon name="edit" size={16} />
      <p>{t("turn.editing")}</p>
      <button className="small-button" onClick={onCancel} type="button">
        {t("turn.editingNot")}
      </button>
    </div>
  );
}
