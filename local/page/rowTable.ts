import { create } from "./dom";

/** A DynamoDB row as returned by the page's server. */
export type Row = Record<string, unknown>;

/** Attributes shown first. */
const FIRST = ["plan", "stripe_status", "expires_at", "needs_review_at"];

/**
 * Fills a table with a row, one attribute per line, nested ones by path. Marks attributes that differ from `before`.
 */
export function fillRowTable(table: HTMLTableElement, row: Row, before: Row | undefined): void {
  const old = new Map(before && flat(before));
  const lines = flat(row).map(([path, value]) => {
    const line = create("tr");
    const name = create("th");
    // Allows line breaks inside a long path.
    name.append(...path.split(/(?<=[._])/).flatMap((word) => [word, create("wbr")]));
    name.scope = "row";
    const cell = create("td", "", value === null ? "null" : String(value));
    const moment = momentOf(value);
    if (moment) cell.append(" ", create("span", "moment", moment));
    line.classList.toggle("changed", before !== undefined && old.get(path) !== value);
    line.append(name, cell);
    return line;
  });
  (table.tBodies[0] ?? table.createTBody()).replaceChildren(...lines);
}

/** Flattens a row to scalars by path. An empty list or map becomes one entry. */
function flat(row: Row): [string, unknown][] {
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const names = Object.keys(row).sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
  return names.flatMap((name) => leaves(name, row[name]));
}

function leaves(path: string, value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  const children = Object.entries(value);
  if (children.length === 0) return [[path, JSON.stringify(value)]];
  return children.flatMap(([name, child]) => leaves(`${path}.${name}`, child));
}

/** Formats Unix seconds as UTC; undefined for other values. */
function momentOf(value: unknown): string | undefined {
  if (typeof value !== "number" || value < 1e9 || value >= 1e10) return undefined;
  return new Date(value * 1000).toISOString().slice(0, 16);
}
