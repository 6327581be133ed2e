/** The page's icons: strokes on a grid of 24, drawn in the colour of the text. They never speak for themselves. */

const PATHS = {
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  check: "M5 13l4 4L19 7",
  again: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  down: "M6 9l6 6 6-6",
  arrowDown: "M12 5v14M6 13l6 6 6-6",
  bulb: "M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.600 1.100-2.200A6 6 0 0 0 12 3z",
  tool: "M14.500 6.500a4 4 0 0 0-5.300 5L4 16.700 7.300 20l5.200-5.200a4 4 0 0 0 5-5.300L15 12l-3-3z",
  book: "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM5 17a3 3 0 0 1 3-3h11",
  up: "M7 11v9H4v-9zM7 11l4-7c1.700 0 2.500 1.200 2.200 2.800L12.600 10H18a2 2 0 0 1 2 2.400l-1.200 6A2 2 0 0 1 16.800 20H7",
  downThumb:
    "M7 13V4H4v9zM7 13l4 7c1.700 0 2.500-1.200 2.200-2.800L12.600 14H18a2 2 0 0 0 2-2.400l-1.200-6A2 2 0 0 0 16.800 4H7",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z",
  star: "M12 3.500l2.600 5.500 6 .8-4.400 4.200 1.100 6-5.300-2.900-5.300 2.900 1.100-6L3.400 9.800l6-.8z",
  clip: "M20 11.500l-8.200 8.200a5 5 0 0 1-7-7l8.700-8.700a3.300 3.300 0 0 1 4.700 4.700l-8.600 8.600a1.600 1.600 0 0 1-2.300-2.300l7.900-7.900",
  ask: "M4 5h16v11H10l-5 4v-4H4zM9 10.500h.01M12 10.500h.01M15 10.500h.01",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
  out: "M14 5H6v14h8M11 12h9M17 9l3 3-3 3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      aria-hidden="true"
      className="icon"
      fill="none"
      height={size}
      stroke="currentColor"
      strokeLinecap="round"
      strokeLinejoin="round"
      strokeWidth={name === "more" ? 2.6 : 1.7}
      viewBox="0 0 24 24"
      width={size}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** Two voices that overlap: the product's mark. */
export function Mark({ size = 28 }: { size?: number }) {
  return (
    <svg aria-hidden="true" className="mark" height={size} viewBox="0 0 32 32" width={size}>
      <rect fill="var(--accent-strong)" height="32" rx="9" width="32" />
      <circle cx="12.4" cy="16" fill="none" r="5.6" stroke="#fff" strokeWidth="2.4" />
      <circle cx="19.6" cy="16" fill="none" r="5.6" stroke="#fff" strokeOpacity=".62" strokeWidth="2.4" />
    </svg>
  );
}
