/** Server-sent events out of the bytes of a response. */

export interface Message {
  data: string;
  /** The cursor after this message, for picking the stream up; empty when the stream has none. */
  id: string;
}

/** Return a function that takes text as it comes and returns the messages that are whole by then. */
export function parser(): (chunk: string) => Message[] {
  let rest = "";
  const open = { data: [] as string[], id: "" };
  return (chunk) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    return lines.flatMap((line) => (line === "" ? closed(open) : noted(open, line)));
  };
}

interface Open {
  data: string[];
  id: string;
}

function noted(open: Open, line: string): Message[] {
  const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
  if (name === "data") open.data.push(value);
  else if (name === "id") open.id = value;
  return [];
}

function closed(open: Open): Message[] {
  const data = open.data.splice(0);
  return data.length > 0 ? [{ data: data.join("\n"), id: open.id }] : [];
}

/** Yield the messages of a response. Throws when nothing at all comes for `silenceMs`: heartbeats should have. */
export async function* messages(response: Response, silenceMs: number): AsyncGenerator<Message> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = parser();
  try {
    for (;;) {
      const { value, done } = await within(silenceMs, reader.read());
      if (done) return;
      yield* parse(value);
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("The stream is silent.")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
