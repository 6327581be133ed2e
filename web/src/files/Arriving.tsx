import { lazy, Suspense, useState } from "react";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import { useArrivingFiles } from "./dropping";
import { askAbout, useAbout } from "./scope";
import { useUploads } from "./uploads";

const Tray = lazy(() => import("./Tray"));
const Files = lazy(() => import("./Files"));

/** What stands above the composer: the files that come, and the one that is asked about. */
export function Arriving({ courseId }: { courseId: number | null }) {
  const over = useArrivingFiles();
  const about = useAbout(courseId);
  const some = useUploads().length > 0;
  const [all, setAll] = useState(false);
  return (
    <>
      {over && (
        <div className="drop-here">
          <p>{t("files.drop")}</p>
        </div>
      )}
      {some && (
        <Suspense fallback={null}>
          <Tray courseId={courseId} onAll={() => setAll(true)} />
        </Suspense>
      )}
      <div className="arriving">
        <button aria-haspopup="dialog" className="quiet-button" onClick={() => setAll(true)} type="button">
          <Icon name="clip" size={16} />
          {t("files.title")}
        </button>
        {about && (
          <span className="about">
            <span>{t("files.about")}</span>
            <bdi className="file-name" title={about.name}>
              {about.name}
            </bdi>
            <button
              aria-label={t("files.aboutAll")}
              className="icon-button"
              onClick={() => askAbout(courseId, null)}
              title={t("files.aboutAll")}
              type="button"
            >
              <Icon name="close" size={16} />
            </button>
          </span>
        )}
      </div>
      {all && (
        <Suspense fallback={null}>
          <Files courseId={courseId} onClose={() => setAll(false)} />
        </Suspense>
      )}
    </>
  );
}
