import Table from "cli-table3";
import { fittedWidths, withoutLines } from "../../cli/fittedTable";

/**
 * Creates a table with one field per row: a name and a value.
 *
 * @param widths maximum width of each column in characters. A longer value continues on the next line
 */
export function fieldTable(widths: [number, number]): Table.Table {
  return new Table({
    style: { head: [], border: [] },
    chars: withoutLines,
    colWidths: fittedWidths(widths),
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
}
