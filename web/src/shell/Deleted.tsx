import { t } from "../i18n";

/** Says what is being deleted, and takes it back. */
export function Deleted({ name, onUndo }: { name: string; onUndo: () => void }) {
  return (
    <div className="toast" role="status">
      <span>{t("shell.deleted", { name })}</span>
      <button className="small-button" onClick={onUndo} type="button">
        {t("shell.undo")}
      </button>
    </div>
  );
}
