import { type FocusEvent, useRef } from "react";

/**
 * What a menu that comes open does with the focus it is given first: pass it on to its first item. After that the
 * library moves it, by keys and by pointer.
 */
export function useFirstItem(): (event: FocusEvent<HTMLElement>) => void {
  const passed = useRef(false);
  return (event) => {
    if (passed.current || event.target !== event.currentTarget) return;
    passed.current = true;
    event.currentTarget.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
  };
}
