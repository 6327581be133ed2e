// Reads what Twinspeak streams with the npm packages that its clients use, and tells what they made of it.
// One request a line comes in: {id, kind, …}. Lines go out: {id, seen} for every event as it is read, then {id, result}.

import { createInterface } from "node:readline";

import { createParser } from "eventsource-parser";
import OpenAI from "openai";

import { sioCall, sioClose, sioEmit, sioOpen, state, until } from "./sockets.mjs";

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function parser(onSeen) {
  const read = { events: [], errors: [], comments: [], retries: [] };
  const judge = createParser({
    onEvent(event) {
      read.events.push(event);
      onSeen(event);
    },
    onError: (error) => read.errors.push(String(error)),
    onComment: (comment) => read.comments.push(comment),
    onRetry: (retry) => read.retries.push(retry),
  });
  return { read, judge };
}

async function sse({ url, headers, body }, seen) {
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const { read, judge } = parser((event) => seen(event.data));
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) judge.feed(text);
  return { status: answer.status, headers: Object.fromEntries(answer.headers), ...read };
}

function parse({ pieces }) {
  const { read, judge } = parser(() => {});
  for (const piece of pieces) judge.feed(piece);
  return read;
}

async function chat({ base, key, headers, params, helper }, seen) {
  const client = new OpenAI({ baseURL: base, apiKey: key, maxRetries: 0, defaultHeaders: headers });
  const chunks = [];
  const take = (chunk) => {
    chunks.push(chunk);
    seen(JSON.stringify(chunk));
  };
  try {
    if (params.stream === false) return { chunks, whole: await client.chat.completions.create(params) };
    if (helper) {
      const stream = client.chat.completions.stream(params).on("chunk", take);
      return { whole: await stream.finalChatCompletion(), chunks };
    }
    for await (const chunk of await client.chat.completions.create({ ...params, stream: true })) take(chunk);
    return { chunks };
  } catch (error) {
    const { status, code, type, param, message } = error;
    return { chunks, error: { kind: error.constructor.name, status, code, type, param, message } };
  }
}

async function models({ base, key }) {
  const listed = [];
  for await (const model of new OpenAI({ baseURL: base, apiKey: key, maxRetries: 0 }).models.list()) listed.push(model);
  return { listed };
}

const sockets = { sioOpen, sioCall, sioEmit, sioClose, sioState: state, sioUntil: until };
const kinds = { sse, parse, chat, models, ...sockets };

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { id, kind, ...request } = JSON.parse(line);
  Promise.resolve(kinds[kind](request, (seen) => tell({ id, seen })))
    .then((result) => tell({ id, result }))
    .catch((error) => tell({ id, broken: String(error?.cause ?? error) }));
}
