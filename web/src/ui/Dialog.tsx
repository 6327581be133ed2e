import { type ReactNode, useLayoutEffect, useRef } from "react";
import { t } from "../i18n";
import { Icon } from "./icons";

/** The browser's own modal: it keeps the focus inside, closes on Escape and hides what is behind from everybody. */
export function Dialog(props: { label: string; className?: string; onClose: () => void; children: ReactNode }) {
  const { label, className = "dialog", onClose, children } = props;
  const element = useRef<HTMLDialogElement>(null);
  // Closed before it is taken out of the page, or the focus would not go back to where it came from.
  useLayoutEffect(() => {
    const shown = element.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      aria-label={label}
      className={className}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
      ref={element}
    >
      <div className="dialog-body">
        <button aria-label={t("shell.close")} className="icon-button dialog-close" onClick={onClose} type="button">
          <Icon name="close" />
        </button>
        {children}
      </div>
    </dialog>
  );
}
