import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { client, session, start as startQueries } from "./api/queries";
import { start as startLanguage } from "./i18n";
import { router } from "./routes";
import { comeBack } from "./shell/comingBack";
import { signedOut } from "./shell/leaving";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/chat.css";
import "./styles/turn.css";

startQueries(() => signedOut(router));
const root = document.getElementById("root");
// Both are needed before anything can be shown, and neither needs the other.
void Promise.all([
  startLanguage(),
  client
    .query(session)
    .catch(() => undefined)
    .then(comeBack),
]).then(() => {
  if (!root) return;
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
});
