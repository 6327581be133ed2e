/** Files that are dropped or pasted anywhere on the page. Left alone, a browser would leave the page for them. */

import { useEffect, useState } from "react";
import { bring, refuse } from "./uploads";

/** Take what is dropped and pasted; return whether something is being held over the page. */
export function useArrivingFiles(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const held = (event: DragEvent) => {
      if (!holdsFiles(event.dataTransfer)) return;
      event.preventDefault();
      setOver(true);
    };
    const left = (event: DragEvent) => {
      // Only who leaves the window goes to nothing; inside it goes from one element to the next.
      if (event.relatedTarget === null) setOver(false);
    };
    const dropped = (event: DragEvent) => {
      setOver(false);
      if (!holdsFiles(event.dataTransfer)) return;
      event.preventDefault();
      take(event.dataTransfer);
    };
    const pasted = (event: ClipboardEvent) => {
      const given = event.clipboardData;
      // What comes from a word processor is text and a picture of it: the text is meant.
      if (!given || given.files.length === 0 || given.types.includes("text/plain")) return;
      event.preventDefault();
      bring(given.files);
    };
    window.addEventListener("dragenter", held);
    window.addEventListener("dragover", held);
    window.addEventListener("dragleave", left);
    window.addEventListener("drop", dropped);
    window.addEventListener("paste", pasted);
    return () => {
      window.removeEventListener("dragenter", held);
      window.removeEventListener("dragover", held);
      window.removeEventListener("dragleave", left);
      window.removeEventListener("drop", dropped);
      window.removeEventListener("paste", pasted);
    };
  }, []);
  return over;
}

function holdsFiles(given: DataTransfer | null): given is DataTransfer {
  return given?.types.includes("Files") ?? false;
}

function take(given: DataTransfer): void {
  const folders = new Set(
    [...given.items]
      .map((item) => item.webkitGetAsEntry())
      .filter((entry) => entry?.isDirectory)
      .map((entry) => entry?.name),
  );
  bring([...given.files].filter((file) => !folders.has(file.name)));
  for (const name of folders) refuse(name ?? "", "folder");
}
