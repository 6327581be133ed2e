/** What the server sends, as far as the page reads it. */

export interface Twin {
  _id: string;
  publicId: string;
  name: string;
  ainame: string;
  about: string;
  picture: string;
  credits: number;
  poolCredits: boolean;
  /** Who may read what is said here; "" for nobody but the person. */
  historyNotice: string;
}

export interface Profile {
  _id: string;
  email: string;
  fname: string;
  lname: string;
  picture: string;
  accountType: string;
  credits: number;
  creditsUsed: number;
  institution: Twin | null;
  resetCodeId: string;
  mustChangePassword: boolean;
}

/** What signing in still takes: a code, by mail or from an app. */
export interface Challenge {
  challengeId: string;
  maskedEmail: string;
  method: "email" | "totp";
}

export interface Session {
  profile: Profile | null;
  csrfToken: string | null;
  expires: number | null;
  challenge: Challenge | null;
  /** Whether somebody who is not signed in may make an account. */
  signUp?: boolean;
  /** The largest file that can be brought. */
  maxFileBytes?: number | null;
}

/** A document of the vault. */
export interface FileRow {
  _id: string;
  originalname: string;
  mimetype: string;
  filesize: number;
  created: string;
  /** `selected`: searched; `active`: kept, not searched. */
  status: string;
  vault: "personal" | "instance" | "account";
  user: string | null;
  is_private: boolean;
  file_url: string;
  chunks: number;
  ingestion: { phase: string; progress: number; error: { code: string; message: string } | null };
}

export interface FilesPage {
  data: FileRow[];
  total: number;
  hasMore: boolean;
  vaultCounts: Record<string, { total: number; active: number }>;
}

/** A passage as the twin reads it. */
export interface Chunk {
  _id: string;
  chunkText: string;
  section: string;
}

export interface Source {
  number: number;
  uploadId: string;
  chunkId: string;
  originalname: string;
  section: string;
  snippet: string;
  score: number;
  cited: boolean;
}

export interface ToolUse {
  id: string;
  name: string;
  arguments: Record<string, unknown> | null;
  response: string;
  responseLength: number;
  responseDurationMs: number;
  success: boolean;
}

export interface TurnRecord {
  id: string;
  created: string;
  state: "done" | "cancelled" | "failed" | "refused" | "interrupted" | "running";
  success: boolean;
  course_id: number;
  course_name: string;
  in: { input: string };
  out: { output: string };
  conversation_model: string;
  credits: number;
  query_duration_ms: number;
  assistant: { _id: string; name: string } | null;
  tools: ToolUse[];
  sources: Source[];
  hasThinking: boolean;
  truncated: boolean;
  moderated: boolean;
  thumbUpDown: string;
  favorite: boolean;
  favorite_name: string;
  error: { code: string; message: string } | null;
  parentId: string | null;
  replacesId: string | null;
  branched: boolean;
}

export interface RunningTurn {
  turnId: string;
  question: string;
  course_id: number | null;
  course_name: string | null;
  started: string;
  parentId: string | null;
  replacesId: string | null;
  branched: boolean;
}

/** The reply of a question, and what `complete` carries. */
export interface Reply {
  turnId: string;
  outputs: string[];
  model: string;
  credits: number;
  totalCredits: number;
  course_id: number;
  course_name: string;
  query_duration_ms: number;
  sources: Source[];
  cancelled?: boolean;
  moderated?: boolean;
  truncated?: boolean;
  streamingFailed?: boolean;
}

interface Display {
  icon: string;
  label: string;
}

/** The events of a turn; Socket.IO's upper-case types are made lower-case at the door. */
export type Frame =
  | { type: "connected"; turnId: string }
  | { type: "stream"; delta: string }
  | { type: "thinking"; round: number; delta?: string; text?: string; done?: boolean }
  | {
      type: "tool_call";
      call_id: string;
      name: string;
      arguments: Record<string, unknown> | null;
      displayInfo: Display;
    }
  | { type: "tool_progress"; call_id: string; displayInfo: Display; progress?: unknown }
  | {
      type: "tool_result";
      call_id: string;
      name: string;
      response: string;
      responseDurationMs: number;
      success: boolean;
    }
  | ({ type: "complete" } & Reply)
  | { type: "error"; error: { code: string; status: number; message: string; requestId?: string } }
  | { type: "done" };

export interface Membership {
  _id: string;
  status: string;
  institution: string;
  institution_data: { _id: string; name: string; ainame: string; status: string };
}

export interface Assistant {
  _id: string;
  name: string;
  description: string;
  status: string;
}

export interface Course {
  course_id: number;
  course_name: string;
  history_count: number;
  last_dialogue_date: string;
  assistant: { _id: string; name: string; picture_url: string } | null;
}
