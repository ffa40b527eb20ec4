import Table from "cli-table3";
import pc from "picocolors";
import type { StepEvent } from "../pulumi/engine";

/** One line of the table. `op` is missing on a line that represents several unchanged resources. */
export interface PreviewRow {
  depth: number;
  type: string;
  name: string;
  op?: StepEvent["op"];
  change: string;
  properties: string;
  /** Name at AWS. */
  awsName: string;
  /** `<tag>=<value>` of each tag at AWS. */
  tags: string;
}

interface Node {
  step: StepEvent;
  children: Node[];
  /** Resources in this subtree. */
  count: number;
  isUnchanged: boolean;
}

const colours = {
  same: pc.dim,
  read: pc.dim,
  create: pc.green,
  update: pc.yellow,
  replace: pc.magenta,
  delete: pc.red,
};

/**
 * Rows of a preview as a tree. Resources without a parent in the list come first.
 *
 * @param all whether to list every unchanged resource. Otherwise a component without a change becomes one row, and the
 * unchanged resources of a changed component become one row.
 */
export function previewRows(steps: StepEvent[], all: boolean): PreviewRow[] {
  const roots = steps.filter(({ parent }) => !steps.some(({ urn }) => urn === parent));
  return roots.map((step) => toNode(step, steps)).flatMap((node) => (all ? everyRow(node, 0) : foldedRows(node, 0)));
}

type Columns = Record<string, (row: PreviewRow) => string>;

const changeColumns: Columns = { properties: ({ properties }) => properties };
const creationColumns: Columns = { "name at AWS": ({ awsName }) => awsName, tags: ({ tags }) => tags };

/** Table of the changes of an existing stack. */
export function changeTable(rows: PreviewRow[]): string {
  return table(rows, changeColumns);
}

/** Table of a new stack's resources, with their names and tags at AWS. */
export function creationTable(rows: PreviewRow[]): string {
  return table(rows, creationColumns);
}

/**
 * The same tables in Markdown.
 *
 * @param isChange whether the stack exists and the rows are its changes
 */
export function markdownTable(rows: PreviewRow[], isChange: boolean): string {
  const columns = isChange ? changeColumns : creationColumns;
  const head = headOf(columns);
  const lines = [head, head.map(() => "---"), ...rows.map((row) => cellsOf(row, columns, "\u00a0\u00a0"))];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}

function table(rows: PreviewRow[], columns: Columns): string {
  const table = new Table({
    head: headOf(columns),
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const row of rows) {
    const colour = colours[row.op ?? "same"];
    table.push(cellsOf(row, columns, "  ").map((text) => colour(text)));
  }
  return table.toString();
}

function headOf(columns: Columns): string[] {
  return ["type", "name", "change", ...Object.keys(columns)];
}

function cellsOf(row: PreviewRow, columns: Columns, indent: string): string[] {
  const { depth, type, name, change } = row;
  return [`${indent.repeat(depth)}${type}`, name, change, ...Object.values(columns).map((cell) => cell(row))];
}

function toNode(step: StepEvent, steps: StepEvent[]): Node {
  const children = steps.filter(({ parent }) => parent === step.urn).map((child) => toNode(child, steps));
  return {
    step,
    children,
    count: children.reduce((sum, { count }) => sum + count, 1),
    isUnchanged: isUnchanged(step) && children.every((child) => child.isUnchanged),
  };
}

function everyRow(node: Node, depth: number): PreviewRow[] {
  return [rowOf(node.step, depth), ...node.children.flatMap((child) => everyRow(child, depth + 1))];
}

function foldedRows(node: Node, depth: number): PreviewRow[] {
  const isStack = depth === 0;
  if (node.isUnchanged && !isStack) return [{ ...rowOf(node.step, depth), ...unchanged(node.count) }];
  const changed = isStack ? node.children : node.children.filter((child) => !child.isUnchanged);
  const folded = node.children.filter((child) => !changed.includes(child)).reduce((sum, { count }) => sum + count, 0);
  const rows = [rowOf(node.step, depth), ...changed.flatMap((child) => foldedRows(child, depth + 1))];
  return folded > 0 ? [...rows, { ...emptyRow, depth: depth + 1, ...unchanged(folded) }] : rows;
}

const emptyRow = { type: "", name: "", properties: "", awsName: "", tags: "" };

function unchanged(count: number): Pick<PreviewRow, "change"> {
  return { change: `${count} unchanged` };
}

function rowOf(step: StepEvent, depth: number): PreviewRow {
  const { type, name, op, retained, changed, physicalName = "" } = step;
  const properties = op === "update" || op === "replace" ? changed.join(", ") : "";
  // Pulumi's own preview has the same wording.
  const change = retained ? `${op} [retain]` : op;
  const awsName = type.startsWith("aws:") ? physicalName : "";
  const tags = Object.entries(step.tags).map(([tag, value]) => `${tag}=${value}`);
  return { depth, type, name, op, change, properties, awsName, tags: tags.join(" ") };
}

function isUnchanged({ op }: StepEvent): boolean {
  return op === "same" || op === "read";
}
