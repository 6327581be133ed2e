/** The page's addresses. */

import { createRootRoute, createRoute, createRouter, Link, Outlet, redirect } from "@tanstack/react-router";
import { type ComponentType, lazy, Suspense } from "react";
import { client, session } from "./api/queries";
import { Chat } from "./chat/Chat";
import { t, useLanguage } from "./i18n";
import { Shell } from "./shell/Shell";
import { SignIn } from "./shell/SignIn";

const Join = lazy(() => import("./shell/links").then(({ Join: page }) => ({ default: page })));
const Approve = lazy(() => import("./shell/links").then(({ Approve: page }) => ({ default: page })));
const Embed = lazy(() => import("./embed/Embed"));

const root = createRootRoute({ component: Root, notFoundComponent: NotFound, errorComponent: Broken });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/signin",
  validateSearch: (search: Record<string, unknown>): { next?: string; ended?: boolean } => ({
    ...(own(search.next) ? { next: search.next as string } : {}),
    ...(search.ended ? { ended: true } : {}),
  }),
  beforeLoad: async ({ search }) => {
    if ((await client.query({ ...session, staleTime: "static" })).profile) throw redirect({ to: search.next ?? "/" });
  },
  component: function SignInPage() {
    const { next, ended } = signIn.useSearch();
    return <SignIn ended={ended ?? false} next={next ?? "/"} />;
  },
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ location }) => {
    if (!(await client.query({ ...session, staleTime: "static" })).profile) {
      const search = location.pathname === "/" ? {} : { next: location.pathname + asked(location.pathname) };
      throw redirect({ to: "/signin", search });
    }
  },
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  component: () => <Chat courseId={null} key="new" />,
});

const conversation = createRoute({
  getParentRoute: () => inside,
  path: "/chat/$courseId",
  component: function ConversationPage() {
    const { courseId } = conversation.useParams();
    const id = Number(courseId);
    return Number.isSafeInteger(id) && id > 0 ? <Chat courseId={id} key={id} /> : <NotFound />;
  },
});

const join = createRoute({ getParentRoute: () => inside, path: "/join", component: () => <Linked Page={Join} /> });
const approve = createRoute({
  getParentRoute: () => inside,
  path: "/approve",
  component: () => <Linked Page={Approve} />,
});

const embed = createRoute({
  getParentRoute: () => root,
  path: "/embed/$publicId",
  component: function EmbedPage() {
    const { publicId } = embed.useParams();
    return (
      <Suspense fallback={null}>
        <Embed publicId={publicId} />
      </Suspense>
    );
  },
});

export const router = createRouter({
  routeTree: root.addChildren([signIn, embed, inside.addChildren([home, conversation, join, approve])]),
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** What a link that was mailed says beside its path, as it is written: codes may look like numbers. */
function asked(path: string): string {
  return path === window.location.pathname ? window.location.search : "";
}

/** Whether an address leads back into this page, and nowhere else. */
function own(address: unknown): boolean {
  return typeof address === "string" && /^\/(?![/\\])/.test(address);
}

function Root() {
  // Every text is drawn anew when the language changes.
  const language = useLanguage();
  return <Outlet key={language} />;
}

function Linked({ Page }: { Page: ComponentType }) {
  return (
    <Suspense fallback={null}>
      <Page />
    </Suspense>
  );
}

function NotFound() {
  return (
    <div className="centre">
      <p>{t("app.notFound")}</p>
      <Link className="button" to="/">
        {t("app.home")}
      </Link>
    </div>
  );
}

function Broken() {
  return (
    <main className="centre" role="alert">
      <h1>{t("app.broken")}</h1>
      <p>{t("app.brokenNext")}</p>
      <button className="button" onClick={() => location.reload()} type="button">
        {t("app.reload")}
      </button>
    </main>
  );
}
