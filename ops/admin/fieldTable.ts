import Table from "cli-table3";

/**
 * Creates a table with one field per row: a name and a value.
 *
 * @param widths characters of both columns. A longer value continues on the next line
 */
export function fieldTable(widths: [number, number]): Table.Table {
  return new Table({
    style: { head: [], border: [] },
    // No lines between rows: they would double the height.
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
    colWidths: widths,
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
}
