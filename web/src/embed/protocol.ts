/** What the frame and the page around it say to one another. Types alone: the two are built apart. */

/** Marks our messages among all that a page is sent. */
export const VERSION = 1;

/** Who comes, as it was signed: by this server for the page, or by the site's own server (decision 051). */
export interface Launch {
  params: Record<string, unknown>;
  launch_token: string;
  nonce: string;
  timestamp: number;
}

export interface Command {
  command: string;
  inputs?: string[];
  assistantId?: string;
  selectedCourse?: { course_id?: number };
}

export interface Answer {
  command: string;
  content: unknown;
  type: "object" | "array" | "string";
  isError: boolean;
}

export type FromFrame =
  | { twinspeak: typeof VERSION; type: "ready" }
  | { twinspeak: typeof VERSION; type: "connected" }
  | { twinspeak: typeof VERSION; type: "refused"; code: string }
  | { twinspeak: typeof VERSION; type: "answer"; id: number; answer: Answer }
  | { twinspeak: typeof VERSION; type: "close" };

export type ToFrame =
  | { twinspeak: typeof VERSION; type: "launch"; launch: Launch }
  | { twinspeak: typeof VERSION; type: "no-launch"; code: string }
  | { twinspeak: typeof VERSION; type: "command"; id: number; command: Command };
