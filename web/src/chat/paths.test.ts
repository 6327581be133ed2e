import { expect, test } from "vitest";
import { begin } from "../live/turn";
import { after, path } from "./paths";
import { ofLive, type TurnView } from "./view";

function turn(id: string, where: Partial<TurnView> = {}): TurnView {
  return { ...ofLive(begin(id, 7, id, 0)), turnId: id, status: "done", saved: true, ...where };
}
function branch(id: string, parentId: string | null, replacesId: string | null = null): TurnView {
  return turn(id, { branched: true, parentId, replacesId });
}
function shown(turns: TurnView[], chosen: string | null = null, whole = true): string {
  return path(turns, chosen, whole)
    .views.map((view) => view.key + (view.versions > 1 ? `(${view.version}/${view.versions})` : ""))
    .join(" ");
}

const a = turn("a");
const b = turn("b", { parentId: "a" });
const c = turn("c", { parentId: "b" });

test("without branches everything is shown, in order of time", () => {
  expect(shown([a, b, c])).toBe("a b c");
  // Two that were asked at once followed the same turn, and are no versions of one another.
  expect(shown([a, b, turn("c", { parentId: "a" })])).toBe("a b c");
  expect(path([], null, true)).toEqual({ views: [], branched: false, earlier: false, missing: false });
});

test("another version leads to its own end, and back", () => {
  const turns = [a, b, c, branch("d", "a", "b"), branch("e", "d")];
  expect(shown(turns)).toBe("a d(2/2) e");
  expect(shown(turns, "b")).toBe("a b(1/2) c");
  expect(shown(turns, "d")).toBe("a d(2/2) e");
  expect(path(turns, null, true).views[1]).toMatchObject({ previous: "b", next: null });
  expect(after(path(turns, "b", true))).toBe("c");
  expect(after(path([a, b, c], null, true))).toBe(null);
  expect(shown(turns, "not there")).toBe("a d(2/2) e");
});

test("branches of branches, and those of the first question", () => {
  const turns = [a, branch("b", null, "a"), branch("c", "b"), branch("d", null, "b"), branch("e", "a")];
  expect(shown(turns)).toBe("a(1/3) e");
  expect(shown(turns, "b")).toBe("b(2/3) c");
  expect(shown(turns, "d")).toBe("d(3/3)");
  // The newest after a turn need not be after the newest version of what follows it.
  const deep = [a, b, c, branch("d", "a", "b"), branch("e", "c")];
  expect(shown(deep)).toBe("a b(1/2) c e");
  expect(shown(deep, "a")).toBe("a b(1/2) c e");
});

test("what runs stands where it was asked", () => {
  const running = (id: string, where: Partial<TurnView>) =>
    turn(id, { turnId: null, saved: false, status: "sending", ...where });
  const again = running("x", { branched: true, replacesId: "b" });
  expect(shown([a, b, c, again])).toBe("a x(2/2)");
  expect(after(path([a, b, c, again], null, true))).toBe("a");
  const turns = [a, b, c, branch("d", "a", "b")];
  expect(shown([...turns, running("x", { branched: true, parentId: "c" })])).toBe("a b(1/2) c x");
  // Somebody else's, of which nothing is known.
  expect(shown([...turns, running("x", {})])).toBe("a d(2/2) x");
  // One that was refused is nothing to follow.
  expect(after(path([...turns, running("x", { status: "failed" })], null, true))).toBe("d");
});

test("what has not been read is asked for only where it is needed", () => {
  const page = [turn("m", { parentId: "l" }), turn("n", { parentId: "m" })];
  expect(path(page, null, false)).toMatchObject({ earlier: true, missing: false });
  expect(path([...page, branch("o", "k", "l")], null, false)).toMatchObject({ earlier: true, missing: true });
  expect(path([...page, branch("o", null, "b")], null, false)).toMatchObject({ earlier: false, missing: true });
  expect(path([...page, branch("o", "m", "n")], null, false)).toMatchObject({ earlier: true, missing: false });
  // Deleted turns are not looked for, and what was before them is still shown.
  expect(shown([a, c, branch("d", "b")])).toBe("a c d");
  expect(path([...page, branch("p", "mm")], null, false)).toMatchObject({ earlier: true, missing: false });
});
