import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { SEARCH_PAGE, search } from "../api/queries";
import type { Course, TurnRecord } from "../api/types";
import { t, when } from "../i18n";
import { snippet } from "./snippets";

/** How long somebody must have stopped typing before the server is asked. */
const REST_MS = 250;

interface Props {
  wanted: string;
  /** The conversations that there are; what was said in others is not shown. */
  courses: Course[];
  onDone: () => void;
}

/** What was asked and answered with the words that somebody looks for, newest first. */
export default function Found({ wanted, courses, onDone }: Props) {
  const text = useRested(wanted.trim());
  const { data, isError, isFetching, refetch, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["search", text],
    queryFn: ({ pageParam, signal }) => search(text, pageParam, signal),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.length < SEARCH_PAGE || !page[0] ? undefined : Date.parse(page[0].created)),
    enabled: text !== "",
  });
  const names = new Map(courses.map((course) => [course.course_id, course.course_name || t("shell.untitled")]));
  const found = (data?.pages ?? []).flatMap((page) => [...page].reverse()).filter((one) => names.has(one.course_id));
  return (
    <section aria-busy={isFetching} aria-label={t("shell.found")} className="found">
      <h2>{t("shell.found")}</h2>
      <p className={data && found.length === 0 ? "empty" : "hidden"} role="status">
        {data && (found.length === 0 ? t("shell.nothingSaid", { text }) : t("shell.foundCount", { n: found.length }))}
      </p>
      {isError && (
        <p className="empty" role="alert">
          {t("shell.searchFailed")}{" "}
          <button className="small-button" onClick={() => void refetch()} type="button">
            {t("chat.retry")}
          </button>
        </p>
      )}
      <ul>
        {found.map((one) => (
          <Hit key={one.id} name={names.get(one.course_id) ?? ""} onDone={onDone} record={one} text={text} />
        ))}
      </ul>
      {hasNextPage && (
        <button className="small-button more" disabled={isFetching} onClick={() => void fetchNextPage()} type="button">
          {t("files.next")}
        </button>
      )}
    </section>
  );
}

function Hit(props: { record: TurnRecord; name: string; text: string; onDone: () => void }) {
  const { record, name, text, onDone } = props;
  return (
    <li className="row">
      <Link
        className="row-link hit"
        hash={`turn-${record.id}`}
        onClick={onDone}
        params={{ courseId: String(record.course_id) }}
        to="/chat/$courseId"
      >
        <span className="hit-name" dir="auto">
          {name}
        </span>
        <span className="hit-text" dir="auto">
          {snippet([record.in.input, record.out.output], text).map((piece, at) =>
            piece.hit ? <mark key={at}>{piece.text}</mark> : piece.text,
          )}
        </span>
        <time className="hit-when" dateTime={record.created}>
          {when(new Date(record.created))}
        </time>
      </Link>
    </li>
  );
}

/** A text once it has stopped changing. */
function useRested(text: string): string {
  const [rested, setRested] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setRested(text), REST_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return rested;
}
