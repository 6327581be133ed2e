/**
 * Which of a conversation's turns are shown: one path through its branches (decision 039). An edited question and an
 * answer that was asked for once more stand in another turn's place; both paths stay. No I/O in here.
 */

import type { TurnView } from "./view";

/** Before the first question. No id looks like these. */
const START = "start";
const EDGE = "edge";

export interface Path {
  views: TurnView[];
  /** Whether the conversation has more than one path, as far as it has been read. */
  branched: boolean;
  /** Whether there is more of this path in what has not been read. */
  earlier: boolean;
  /** Whether something that has not been read is needed to show this path rightly. */
  missing: boolean;
}

export function idOf(view: TurnView): string {
  return view.turnId ?? view.key;
}

/**
 * Return the path that leads through turn `chosen` to the newest turn after it; without one, to the newest of all.
 * `turns` are in order of time; `whole` says whether they are all there are.
 */
export function path(turns: TurnView[], chosen: string | null, whole: boolean): Path {
  const tree = grown(turns, whole);
  const last = turns.at(-1);
  const views: TurnView[] = [];
  let at = (chosen !== null && tree.newest.get(chosen)) || (last ? idOf(last) : START);
  for (let view = tree.byId.get(at); view; view = tree.byId.get(at)) {
    views.push(numbered(view, tree));
    at = tree.follows.get(at) ?? START;
  }
  const unread = (id: string | null) => id !== null && !whole && !tree.byId.has(id) && id < tree.oldest;
  return {
    views: views.reverse(),
    branched: turns.some((turn) => turn.branched),
    earlier: !whole && at !== START,
    missing: unread(views[0]?.branched ? views[0].parentId : null) || views.some((view) => unread(view.replacesId)),
  };
}

/** After which turn a question on a path is to be asked; null where it follows the newest anyway. */
export function after({ views, branched }: Path): string | null {
  return (branched && views.findLast((view) => known(view))?.turnId) || null;
}

/** Whether the server knows a turn by its id: one that was refused is in nobody's history. */
export function known(view: TurnView): boolean {
  return view.turnId !== null && (view.saved || view.status !== "failed");
}

interface Tree {
  byId: Map<string, TurnView>;
  /** What comes before each turn: a turn, known here or not, or the beginning. */
  follows: Map<string, string>;
  /** The ids of the turns that stand in one another's place, by what they follow. */
  places: Map<string, string[]>;
  /** The newest turn after each, on whatever path. */
  newest: Map<string, string>;
  oldest: string;
}

function grown(turns: TurnView[], whole: boolean): Tree {
  const tree: Tree = { byId: new Map(), follows: new Map(), places: new Map(), newest: new Map(), oldest: "" };
  tree.oldest = turns.find((turn) => turn.saved)?.turnId ?? "";
  let plain = "";
  let before = { id: START, branched: false };
  for (const turn of turns) {
    const id = idOf(turn);
    // One that runs, and of which nobody says where it stands, follows the newest.
    const loose = before.branched && !turn.branched && !turn.saved;
    tree.byId.set(id, turn);
    tree.follows.set(id, loose ? before.id : parentOf(turn, tree, plain, whole));
    before = { id, branched: turn.branched || loose };
    if (!before.branched) plain = id;
  }
  for (const [id, follows] of tree.follows) tree.places.set(follows, [...(tree.places.get(follows) ?? []), id]);
  lead(tree);
  return tree;
}

/** Find the newest turn after each: what comes later in time is looked at first. */
function lead({ follows, newest }: Tree): void {
  const ids = [...follows.keys()];
  const at = new Map(ids.map((id, place) => [id, place]));
  for (const id of ids.reverse()) {
    const last = newest.get(id) ?? id;
    newest.set(id, last);
    const before = follows.get(id) ?? START;
    const known = newest.get(before);
    if (known === undefined || (at.get(known) ?? 0) < (at.get(last) ?? 0)) newest.set(before, last);
  }
}

/** What a turn follows: what is before it in time, unless it knows its place. What was deleted is passed over. */
function parentOf(turn: TurnView, tree: Tree, plain: string, whole: boolean): string {
  const inOrder = plain || (whole ? START : (turn.parentId ?? EDGE));
  if (!turn.branched) return inOrder;
  const replaced = turn.replacesId === null ? undefined : tree.follows.get(turn.replacesId);
  if (replaced !== undefined) return replaced;
  if (turn.parentId === null) return START;
  const gone = !tree.byId.has(turn.parentId) && (whole || turn.parentId > tree.oldest);
  return gone ? inOrder : turn.parentId;
}

function numbered(view: TurnView, tree: Tree): TurnView {
  const id = idOf(view);
  const place = tree.places.get(tree.follows.get(id) ?? START) ?? [id];
  const at = place.indexOf(id);
  return {
    ...view,
    version: at + 1,
    versions: place.length,
    previous: place[at - 1] ?? null,
    next: place[at + 1] ?? null,
  };
}
