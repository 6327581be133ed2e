import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { json } from "../api/http";
import { courses, creditsOf, memberships, session } from "../api/queries";
import type { Course } from "../api/types";
import { credits, type Key, t } from "../i18n";
import { useRunningCourses } from "../live/store";
import { Icon, type IconName, Mark } from "../ui/icons";
import { Deleted } from "./Deleted";
import { type Deletion, deleteSoon } from "./deleting";
import { tell } from "./tabs";

const Menu = lazy(() => import("./CourseMenu"));
const Favourites = lazy(() => import("./Favourites"));
const Found = lazy(() => import("./Found"));
const TwinMenu = lazy(() => import("./TwinMenu"));
const Account = lazy(() => import("./Account"));

/** The twin, the conversations, and the person. `onDone`: something was chosen. */
export function Sidebar({ onDone }: { onDone: () => void }) {
  const [wanted, setWanted] = useState("");
  const [starred, setStarred] = useState(false);
  return (
    <nav aria-label={t("shell.conversations")} className="sidebar">
      <TwinCard />
      <Link className="new-button" onClick={onDone} to="/">
        <Icon name="plus" />
        {t("shell.new")}
      </Link>
      <label className="search">
        <Icon name="search" size={16} />
        <span className="hidden">{t("shell.search")}</span>
        <input
          dir="auto"
          onChange={(event) => setWanted(event.target.value)}
          placeholder={t("shell.search")}
          type="search"
          value={wanted}
        />
      </label>
      <div className="segments lists">
        {[false, true].map((which) => (
          <label key={String(which)}>
            <input checked={starred === which} name="list" onChange={() => setStarred(which)} type="radio" />
            <span>{t(which ? "shell.favourites" : "shell.all")}</span>
          </label>
        ))}
      </div>
      {starred ? (
        <Suspense fallback={<div className="list" />}>
          <Favourites onDone={onDone} wanted={wanted} />
        </Suspense>
      ) : (
        <List onDone={onDone} wanted={wanted} />
      )}
      <Person />
    </nav>
  );
}

function TwinCard() {
  const { data } = useQuery(session);
  const { data: mine } = useQuery(memberships);
  const twin = data?.profile?.institution;
  const open = (mine ?? []).filter((one) => one.status === "active" && one.institution_data.status === "active");
  return (
    <div className="twin">
      <Mark size={34} />
      <div>
        <p className="twin-name" dir="auto">
          {twin?.ainame || "Twinspeak"}
        </p>
        {twin && twin.name !== twin.ainame && (
          <p className="twin-place" dir="auto">
            {twin.name}
          </p>
        )}
      </div>
      {twin && open.length > 1 && (
        <Later icon="down" label={t("shell.twins")}>
          <TwinMenu current={twin._id} open={open} />
        </Later>
      )}
    </div>
  );
}

/** The button of a menu, before the menu itself is loaded. */
function Later({ icon, label, children }: { icon: IconName; label: string; children: ReactNode }) {
  const [wanted, setWanted] = useState(false);
  const button = (
    <button
      aria-haspopup="menu"
      aria-label={label}
      className="icon-button row-more"
      onClick={() => setWanted(true)}
      type="button"
    >
      <Icon name={icon} size={16} />
    </button>
  );
  return wanted ? <Suspense fallback={button}>{children}</Suspense> : button;
}

function List({ wanted, onDone }: { wanted: string; onDone: () => void }) {
  const { data, isError, refetch } = useQuery(courses);
  const [gone, setGone] = useState<Deletion | null>(null);
  function remove(course: Course): void {
    const deletion = deleteSoon(course, () => setGone((shown) => (shown === deletion ? null : shown)));
    setGone(deletion);
  }
  const found = (data ?? []).filter(
    (course) =>
      course.course_id !== gone?.course.course_id &&
      course.course_name.toLocaleLowerCase().includes(wanted.trim().toLocaleLowerCase()),
  );
  return (
    <>
      <div className="list">
        {isError && (
          <p className="empty">
            {t("shell.listFailed")}{" "}
            <button className="small-button" onClick={() => void refetch()} type="button">
              {t("chat.retry")}
            </button>
          </p>
        )}
        {data && <Nothing none={data.length === 0} noneFound={found.length === 0} wanted={wanted} />}
        {groups(found).map(([label, members]) => (
          <section aria-label={t(label)} key={label}>
            <h2>{t(label)}</h2>
            <ul>
              {members.map((course) => (
                <Row course={course} key={course.course_id} onDelete={remove} onDone={onDone} />
              ))}
            </ul>
          </section>
        ))}
        {data && data.length > 0 && wanted.trim() && (
          <Suspense fallback={null}>
            <Found
              courses={data.filter((course) => course.course_id !== gone?.course.course_id)}
              onDone={onDone}
              wanted={wanted}
            />
          </Suspense>
        )}
      </div>
      {gone && (
        <Deleted
          name={gone.course.course_name || t("shell.untitled")}
          onUndo={() => {
            gone.undo();
            setGone(null);
          }}
        />
      )}
    </>
  );
}

function Nothing({ none, noneFound, wanted }: { none: boolean; noneFound: boolean; wanted: string }) {
  if (!noneFound) return null;
  return <p className="empty">{none ? t("shell.none") : t("shell.noneFound", { text: wanted })}</p>;
}

function Row({ course, onDone, onDelete }: { course: Course; onDone: () => void; onDelete: (course: Course) => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { courseId } = useParams({ strict: false });
  const [renaming, setRenaming] = useState(false);
  const answering = useRunningCourses().has(course.course_id);
  const id = String(course.course_id);
  const name = course.course_name || t("shell.untitled");

  async function rename(given: string): Promise<void> {
    setRenaming(false);
    if (!given.trim() || given === course.course_name) return;
    const body = { course_id: course.course_id, course_name: given.trim() };
    queries.setQueryData(courses.queryKey, (before) =>
      before?.map((each) => (each.course_id === course.course_id ? { ...each, course_name: given.trim() } : each)),
    );
    await json("/api/user/renameHistory", { method: "POST", body }).finally(() => queries.invalidateQueries(courses));
    tell({ type: "changed" });
  }
  if (renaming) return <Renaming name={course.course_name} onDone={(given) => void rename(given)} />;
  return (
    <li className={courseId === id ? "row current" : "row"}>
      <Link
        activeProps={{ "aria-current": "page" }}
        className="row-link"
        dir="auto"
        onClick={onDone}
        params={{ courseId: id }}
        title={name}
        to="/chat/$courseId"
      >
        {name}
      </Link>
      {answering && <span className="pulse" role="img" aria-label={t("shell.answering")} />}
      <Later icon="more" label={t("shell.more", { name })}>
        <Menu
          name={name}
          onDelete={() => {
            onDelete(course);
            if (courseId === id) void navigate({ to: "/" });
          }}
          onRename={() => setRenaming(true)}
        />
      </Later>
    </li>
  );
}

function Renaming({ name, onDone }: { name: string; onDone: (name: string) => void }) {
  const [given, setGiven] = useState(name);
  return (
    <li className="row">
      <form
        className="renaming"
        onSubmit={(event) => {
          event.preventDefault();
          onDone(given);
        }}
      >
        <input
          aria-label={t("shell.name")}
          autoFocus
          dir="auto"
          maxLength={500}
          onBlur={() => onDone(given)}
          onChange={(event) => setGiven(event.target.value)}
          onFocus={(event) => event.target.select()}
          onKeyDown={(event) => {
            if (event.key === "Escape") onDone(name);
          }}
          value={given}
        />
      </form>
    </li>
  );
}

function Person() {
  const { data } = useQuery(session);
  const [open, setOpen] = useState(false);
  const profile = data?.profile;
  if (!profile) return null;
  const name = [profile.fname, profile.lname].filter(Boolean).join(" ") || profile.email;
  return (
    <>
      <button aria-haspopup="dialog" className="person" onClick={() => setOpen(true)} type="button">
        <span aria-hidden="true" className="avatar">
          {name.slice(0, 1).toLocaleUpperCase()}
        </span>
        <span className="person-text">
          <span className="person-name" dir="auto">
            {name}
          </span>
          <span className="person-credits">{credits(creditsOf(profile))}</span>
        </span>
        <span className="hidden">{t("shell.account")}</span>
      </button>
      {open && (
        <Suspense fallback={null}>
          <Account onClose={() => setOpen(false)} profile={profile} />
        </Suspense>
      )}
    </>
  );
}

/** Part conversations by when they were last spoken in. */
function groups(found: Course[]): [Key, Course[]][] {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const since: [Key, number][] = [
    ["shell.today", midnight],
    ["shell.yesterday", midnight - 86_400_000],
    ["shell.week", midnight - 7 * 86_400_000],
    ["shell.older", Number.NEGATIVE_INFINITY],
  ];
  const parted = new Map<Key, Course[]>(since.map(([key]) => [key, []]));
  for (const course of found) {
    const last = Date.parse(course.last_dialogue_date);
    const [key] = since.find(([, from]) => last >= from) ?? ["shell.older"];
    parted.get(key)?.push(course);
  }
  return [...parted].filter(([, members]) => members.length > 0);
}
