import type { Room } from "./rooms";
import type { Source } from "./sources";

/** One import, from one file to another. */
export interface Import {
  from: string;
  to: string;
}

type Graph = Map<string, Set<string>>;

/** Groups of files that import each other in a cycle. Each group is sorted. */
export function circles(sources: Source[]): string[][] {
  return cycles(toGraph(importsOf(sources)));
}

/**
 * Finds imports that go up, and the reason for each. An import goes up in five cases:
 *
 * - It closes a cycle between two children of one folder.
 * - It imports from a room above its own room.
 * - It imports a file of a room with a public entry, and this file is not the entry.
 * - One of its two files is not in any room of `rooms`.
 * - It imports from a folder named `tests`.
 */
export function upwardImports(sources: Source[], rooms: Room[]): (Import & { reason: string })[] {
  const imports = importsOf(sources);
  const cyclic = new Map<string, Set<Import>>();
  for (const [folder, group] of Map.groupBy(imports, commonFolder)) {
    const contracted = toGraph(group.map((each) => childrenOf(folder, each)));
    const members = cycles(contracted).map((cycle) => new Set(cycle));
    const closing = group.filter((each) => {
      const { from, to } = childrenOf(folder, each);
      return members.some((cycle) => cycle.has(from) && cycle.has(to));
    });
    cyclic.set(folder, new Set(closing));
  }
  return imports.flatMap((each) => {
    const folder = commonFolder(each);
    const { from, to } = childrenOf(folder, each);
    const reason = againstRooms(each, rooms);
    if (reason) return [{ ...each, reason }];
    return cyclic.get(folder)?.has(each) ? [{ ...each, reason: `${from} and ${to} import each other` }] : [];
  });
}

function againstRooms({ from, to }: Import, rooms: Room[]): string | undefined {
  if (to.split("/").includes("tests")) return "only tests may import from tests";
  const [above, below] = [roomOf(from, rooms), roomOf(to, rooms)];
  if (!above || !below) return `${above ? to : from} is in no room: add its folder to verify/structure/rooms.ts`;
  if (rooms.indexOf(above) > rooms.indexOf(below)) return `${below.path} is above ${above.path}`;
  const isInside = below.entry === undefined || to === below.entry || above === below;
  return isInside ? undefined : `other rooms may only import ${below.entry} of ${below.path}`;
}

/** The innermost room that contains a file. */
function roomOf(file: string, rooms: Room[]): Room | undefined {
  const holding = rooms.filter(({ path }) => file === path || file.startsWith(`${path}/`));
  return holding.sort((a, b) => b.path.length - a.path.length)[0];
}

function importsOf(sources: Source[]): Import[] {
  return sources.flatMap(({ path, imports }) => imports.map((to) => ({ from: path, to })));
}

/** Deepest folder that contains both files of an import: "" for the root. */
function commonFolder({ from, to }: Import): string {
  const [a, b] = [from.split("/").slice(0, -1), to.split("/").slice(0, -1)];
  const differs = a.findIndex((part, index) => part !== b[index]);
  return a.slice(0, differs === -1 ? a.length : differs).join("/");
}

/** The two children of a folder that an import connects. */
function childrenOf(folder: string, { from, to }: Import): Import {
  const child = (file: string) => file.slice(folder ? folder.length + 1 : 0).split("/")[0] ?? "";
  return { from: child(from), to: child(to) };
}

function toGraph(imports: Import[]): Graph {
  const graph: Graph = new Map();
  for (const { from, to } of imports) graph.set(from, (graph.get(from) ?? new Set()).add(to));
  return graph;
}

/** Strongly connected components of more than one node. Each component is sorted. */
function cycles(graph: Graph): string[][] {
  const reached = new Map([...graph.keys()].map((node) => [node, reachableFrom(node, graph)]));
  const found = new Map<string, string[]>();
  for (const [node, targets] of reached) {
    const members = [
      node,
      ...[...targets].filter((target) => target !== node && reached.get(target)?.has(node)),
    ].sort();
    if (members.length > 1) found.set(members.join("\n"), members);
  }
  return [...found.values()];
}

function reachableFrom(start: string, graph: Graph): Set<string> {
  const reached = new Set<string>();
  const pending = [start];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const next of graph.get(node) ?? []) {
      if (!reached.has(next)) pending.push(next);
      reached.add(next);
    }
  }
  return reached;
}
