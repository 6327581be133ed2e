import { type Key, number, t } from "../i18n";
import { client, session } from "../api/queries";
import type { Trouble } from "./uploads";

/** What can be said in the reader's own language; the server says the rest. */
const KNOWN: Record<string, Key> = {
  unreachable: "error.unreachable",
  payload_too_large: "files.tooLarge",
  vault_full: "files.full",
  uploads_disabled: "files.disabled",
  validation_failed: "files.invalid",
  folder: "files.folder",
  rate_limited: "files.tooMany",
  address_not_allowed: "files.addressRefused",
  fetch_failed: "files.fetchFailed",
  ingestion_cancelled: "files.cancelled",
  ingestion_failed: "files.failed",
  file_empty: "files.empty",
  file_encrypted: "files.encrypted",
  file_damaged: "files.damaged",
  file_unsupported: "files.unsupported",
  file_without_text: "files.withoutText",
  admin_required: "files.notYours",
  owner_required: "files.notYours",
  account_manager_required: "files.notYours",
};

/** Why something could not be brought, read or changed. */
export function words({ code, message }: Trouble): string {
  const key = KNOWN[code];
  if (!key) return message || t("error.generic");
  return t(key, { most: size(client.getQueryData(session.queryKey)?.maxFileBytes ?? 0) });
}

const UNITS = ["B", "kB", "MB", "GB"] as const;

export function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const shown = bytes / 1000 ** power;
  return `${number(shown, shown < 10 && power > 0 ? 1 : 0)} ${UNITS[power] ?? "B"}`;
}
