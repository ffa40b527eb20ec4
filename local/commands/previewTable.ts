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

export function previewTable(rows: PreviewRow[]): string {
  const table = new Table({
    head: ["type", "name", "change", "properties"],
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const { depth, type, name, op, change, properties } of rows) {
    const colour = colours[op ?? "same"];
    table.push([`${"  ".repeat(depth)}${type}`, name, change, properties].map((text) => colour(text)));
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
  return folded > 0 ? [...rows, { depth: depth + 1, type: "", name: "", properties: "", ...unchanged(folded) }] : rows;
}

function unchanged(count: number): Pick<PreviewRow, "change"> {
  return { change: `${count} unchanged` };
}

function rowOf(step: StepEvent, depth: number): PreviewRow {
  const { type, name, op, retained, changed } = step;
  const properties = op === "update" || op === "replace" ? changed.join(", ") : "";
  // Pulumi's own preview has the same wording.
  return { depth, type, name, op, change: retained ? `${op} [retain]` : op, properties };
}

function isUnchanged({ op }: StepEvent): boolean {
  return op === "same" || op === "read";
}
