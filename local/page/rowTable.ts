import { create } from "./dom";

/** A row of a table in DynamoDB, as the page's server gives it. */
export type Row = Record<string, unknown>;

/** What is asked for first. */
const FIRST = ["plan", "stripe_status", "expires_at", "needs_review_at"];

/**
 * Fills a table with a row, one attribute a line, nested ones by their path. Attributes that differ from `before` are
 * marked.
 */
export function fillRowTable(table: HTMLTableElement, row: Row, before: Row | undefined): void {
  const old = new Map(before && flat(before));
  const lines = flat(row).map(([path, value]) => {
    const line = create("tr");
    const name = create("th");
    // A long path breaks between its words.
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

/** Every scalar of a row by its path; an empty list or map by its own. */
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

/** The moment that Unix seconds stand for, in UTC; undefined for other values. */
function momentOf(value: unknown): string | undefined {
  if (typeof value !== "number" || value < 1e9 || value >= 1e10) return undefined;
  return new Date(value * 1000).toISOString().slice(0, 16);
}
