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

/** Table of the changes of an existing stack. */
export function changeTable(rows: PreviewRow[]): string {
  return table(rows, { properties: ({ properties }) => properties });
}

/** Table of a new stack's resources, with their names and tags at AWS. */
export function creationTable(rows: PreviewRow[]): string {
  return table(rows, { "name at AWS": ({ awsName }) => awsName, tags: ({ tags }) => tags });
}

function table(rows: PreviewRow[], columns: Record<string, (row: PreviewRow) => string>): string {
  const table = new Table({
    head: ["type", "name", "change", ...Object.keys(columns)],
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const row of rows) {
    const { depth, type, name, op, change } = row;
    const cells = [`${"  ".repeat(depth)}${type}`, name, change, ...Object.values(columns).map((cell) => cell(row))];
    const colour = colours[op ?? "same"];
    table.push(cells.map((text) => colour(text)));
  }
  return table.toString();
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
