import { expect, test } from "vitest";
import { parser } from "./sse";

const STREAM =
  'id: 1\ndata: {"a": "ä€😀"}\n\n: heartbeat\n\nid: 2\r\ndata: one\r\ndata: two\r\n\r\ndata: without an id of its own\n\n';
const MESSAGES = [
  { data: '{"a": "ä€😀"}', id: "1" },
  { data: "one\ntwo", id: "2" },
  { data: "without an id of its own", id: "2" },
];

test("messages are the same wherever the bytes are cut", () => {
  for (let first = 0; first <= STREAM.length; first++) {
    for (let second = first; second <= STREAM.length; second += 7) {
      const parse = parser();
      const parts = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)];
      expect(parts.flatMap(parse), `${first}, ${second}`).toEqual(MESSAGES);
    }
  }
});

test("what is not ended yet is no message", () => {
  const parse = parser();
  expect(parse("data: half")).toEqual([]);
  expect(parse("\n")).toEqual([]);
  expect(parse("\n")).toEqual([{ data: "half", id: "" }]);
});
