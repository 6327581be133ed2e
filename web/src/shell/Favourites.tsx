import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { favourites } from "../api/queries";
import { t } from "../i18n";

/** The answers that somebody wants to find again, newest first. */
export default function Favourites({ wanted, onDone }: { wanted: string; onDone: () => void }) {
  const { data, isError, refetch } = useQuery(favourites);
  const text = wanted.trim().toLocaleLowerCase();
  const found = (data ?? []).filter((one) => titleOf(one).toLocaleLowerCase().includes(text)).reverse();
  return (
    <div className="list">
      {isError && (
        <p className="empty">
          {t("shell.listFailed")}{" "}
          <button className="small-button" onClick={() => void refetch()} type="button">
            {t("chat.retry")}
          </button>
        </p>
      )}
      {data && found.length === 0 && (
        <p className="empty">{wanted ? t("shell.noneFound", { text: wanted }) : t("shell.noFavourites")}</p>
      )}
      <ul>
        {found.map((one) => (
          <li className="row" key={one.id}>
            <Link
              className="row-link"
              dir="auto"
              hash={`turn-${one.id}`}
              onClick={onDone}
              params={{ courseId: String(one.course_id) }}
              title={titleOf(one)}
              to="/chat/$courseId"
            >
              {titleOf(one)}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}

function titleOf(one: { favorite_name: string; in: { input: string } }): string {
  return one.favorite_name || one.in.input;
}
