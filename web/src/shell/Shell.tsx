import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useLocation, useParams, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { courses, session, stay } from "../api/queries";
import { type Key, t } from "../i18n";
import { pickUp, whenAsked, whenEnded } from "../live/asking";
import { open } from "../live/socket";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/icons";
import { signedOut } from "./leaving";
import { Sidebar } from "./Sidebar";
import { listen, tell } from "./tabs";

const WIDE = "(min-width: 56rem)";
const DAY_MS = 86_400_000;
const TITLES: Record<string, Key> = { "/join": "link.joinTitle", "/approve": "link.approveTitle" };

/** What is around every conversation, and what keeps the page in step with the server and with other tabs. */
export function Shell() {
  const [drawer, setDrawer] = useState(false);
  const wide = useMedia(WIDE);
  const announced = useCompany();
  return (
    <div className="shell">
      <a className="skip" href="#conversation">
        {t("app.skip")}
      </a>
      {wide && (
        <aside className="side">
          <Sidebar onDone={() => undefined} />
        </aside>
      )}
      {!wide && drawer && (
        <Dialog className="drawer" label={t("shell.conversations")} onClose={() => setDrawer(false)}>
          <Sidebar onDone={() => setDrawer(false)} />
        </Dialog>
      )}
      <main className="main" id="conversation" tabIndex={-1}>
        <Header onMenu={wide ? null : () => setDrawer(true)} />
        <Outlet />
      </main>
      <p aria-live="polite" className="hidden" role="status">
        {announced}
      </p>
    </div>
  );
}

function Header({ onMenu }: { onMenu: (() => void) | null }) {
  const { data } = useQuery(courses);
  const { courseId } = useParams({ strict: false });
  const name = data?.find((course) => String(course.course_id) === courseId)?.course_name;
  const path = useLocation().pathname;
  const title = courseId === undefined ? t(TITLES[path] ?? "chat.new") : name || t("shell.untitled");
  useEffect(() => {
    document.title = `${title} · Twinspeak`;
  }, [title]);
  return (
    <header className="header">
      {onMenu && (
        <button aria-label={t("shell.menu")} className="icon-button" onClick={onMenu} type="button">
          <Icon name="menu" size={20} />
        </button>
      )}
      <h1 dir="auto">{title}</h1>
    </header>
  );
}

/** Follow what runs, tell other tabs, stay signed in; return what screen readers are told. */
function useCompany(): string {
  const queries = useQueryClient();
  const router = useRouter();
  const { data } = useQuery(session);
  const [announced, setAnnounced] = useState("");
  const name = data?.profile?.institution?.ainame || "Twinspeak";

  useEffect(() => {
    void open().catch(() => undefined);
    const unheard = listen((news) => {
      if (news.type === "signed-out") signedOut(router);
      else if (news.type === "asked") void pickUp().catch(() => undefined);
      else if (news.type === "ended") void queries.invalidateQueries({ queryKey: ["turns", news.courseId] });
      // Another tab speaks with another twin now, and the session is one for all tabs.
      else if (news.type === "moved") location.assign("/");
      if (news.type === "changed" || news.type === "ended") void queries.invalidateQueries(courses);
    });
    whenAsked(() => tell({ type: "asked" }));
    // In this order: a turn that ends between the two is in the list, one that ends after them is followed.
    void pickUp()
      .then(() => queries.invalidateQueries(courses))
      .catch(() => undefined);
    return unheard;
  }, [queries, router]);

  useEffect(() => {
    whenEnded((turn) => {
      setAnnounced(
        t(
          turn.status === "failed" ? "chat.doneFailed" : turn.status === "cancelled" ? "chat.doneStopped" : "chat.done",
          {
            name,
          },
        ),
      );
      tell({ type: "ended", courseId: turn.courseId });
      void queries.invalidateQueries({ queryKey: ["turns", turn.courseId] });
      void queries.invalidateQueries(courses);
      void queries.invalidateQueries(session);
    });
  }, [queries, name]);

  useEffect(() => {
    if (data?.profile) void stay(data, DAY_MS).catch(() => undefined);
  }, [data]);
  return announced;
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const watched = matchMedia(query);
    const changed = () => setMatches(watched.matches);
    watched.addEventListener("change", changed);
    return () => watched.removeEventListener("change", changed);
  }, [query]);
  return matches;
}
