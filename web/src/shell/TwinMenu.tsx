import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { json } from "../api/http";
import { session } from "../api/queries";
import type { Membership } from "../api/types";
import { t } from "../i18n";
import { forgetAbout } from "../files/scope";
import { forgetAll } from "../files/uploads";
import { leave } from "../live/asking";
import { Icon } from "../ui/icons";
import { useFirstItem } from "../ui/menu";
import { tell } from "./tabs";

/** The twins that the person may change to. It is loaded when somebody wants it, so it comes open. */
export default function TwinMenu({ current, open }: { current: string; open: Membership[] }) {
  const queries = useQueryClient();
  const first = useFirstItem();
  const router = useRouter();

  async function go(membershipId: string): Promise<void> {
    await json(`/api/user/userInstitutionSwitch/${membershipId}`, { method: "POST" });
    // What runs goes on at the server, and is found again by coming back.
    leave();
    forgetAll();
    forgetAbout();
    tell({ type: "moved" });
    await router.navigate({ to: "/" });
    await queries.invalidateQueries(session);
    await queries.resetQueries({ predicate: (query) => query.queryKey[0] !== "session" });
  }
  return (
    <Dropdown.Root defaultOpen modal={false}>
      <Dropdown.Trigger aria-label={t("shell.twins")} className="icon-button twin-more" title={t("shell.twins")}>
        <Icon name="down" />
      </Dropdown.Trigger>
      <Dropdown.Portal>
        <Dropdown.Content align="end" className="menu" collisionPadding={8} onFocus={first} sideOffset={4}>
          <Dropdown.RadioGroup
            onValueChange={(id) => void go(id)}
            value={open.find(({ institution }) => institution === current)?._id ?? ""}
          >
            {open.map((one) => (
              <Dropdown.RadioItem className="menu-item" key={one._id} value={one._id}>
                <Dropdown.ItemIndicator>
                  <Icon name="check" size={16} />
                </Dropdown.ItemIndicator>
                <bdi>{one.institution_data.ainame || one.institution_data.name}</bdi>
              </Dropdown.RadioItem>
            ))}
          </Dropdown.RadioGroup>
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}
