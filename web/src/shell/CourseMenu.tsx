import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { useFirstItem } from "../ui/menu";

/** What can be done with a conversation. It is loaded when somebody wants it, so it comes open. */
export default function CourseMenu(props: { name: string; onRename: () => void; onDelete: () => void }) {
  const { name, onRename, onDelete } = props;
  const first = useFirstItem();
  return (
    <Dropdown.Root defaultOpen modal={false}>
      <Dropdown.Trigger aria-label={t("shell.more", { name })} className="icon-button row-more">
        <Icon name="more" size={16} />
      </Dropdown.Trigger>
      <Dropdown.Portal>
        <Dropdown.Content align="end" className="menu" collisionPadding={8} onFocus={first} sideOffset={4}>
          <Dropdown.Item className="menu-item" onSelect={onRename}>
            <Icon name="edit" size={16} />
            {t("shell.rename")}
          </Dropdown.Item>
          <Dropdown.Item className="menu-item danger" onSelect={onDelete}>
            <Icon name="trash" size={16} />
            {t("shell.delete")}
          </Dropdown.Item>
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}
