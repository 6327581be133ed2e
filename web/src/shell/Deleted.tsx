import { t } from "../i18n";
import type { Deletion } from "./deleting";

/** Says what is being deleted, and takes it back. */
export function Deleted({ deletion, onUndo }: { deletion: Deletion; onUndo: () => void }) {
  return (
    <div className="toast" role="status">
      <span>{t("shell.deleted", { name: deletion.course.course_name || t("shell.untitled") })}</span>
      <button
        className="small-button"
        onClick={() => {
          deletion.undo();
          onUndo();
        }}
        type="button"
      >
        {t("shell.undo")}
      </button>
    </div>
  );
}
