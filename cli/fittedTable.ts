import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";

/** Width of a table in a file or a pipe, in characters. The ids of Stripe's events fit, so that grep finds them. */
const WIDTH_WITHOUT_TERMINAL = 200;
/** Smallest width of a column that is narrowed, in characters. */
const MIN_WIDTH = 10;

type Options = Pick<Table.TableConstructorOptions, "head" | "colAligns" | "chars">;

/** Characters of a table without lines between its rows. With these lines, a table of short rows is twice as high. */
export const withoutLines = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };

/**
 * Formats rows as a table that fits the terminal. A longer text continues on the next line.
 *
 * @param columns width of the terminal in characters
 */
export function fittedTable(rows: string[][], options: Options, columns = terminalColumns()): string {
  const natural = render(rows, options);
  const [border = ""] = natural.split("\n");
  if (border.length <= columns) return natural;
  const colWidths = fittedWidths(
    border
      .slice(1, -1)
      .split("┬")
      .map(({ length }) => length),
    columns,
  );
  const broken = rows.map((cells) => cells.map((text, column) => breakable(text, colWidths[column] ?? 0)));
  return render(broken, { ...options, colWidths, wordWrap: true });
}

/**
 * Narrows the widest columns of a table until the table fits the terminal.
 *
 * @param widths characters of each column, with its padding
 * @param columns width of the terminal in characters
 */
export function fittedWidths(widths: number[], columns = terminalColumns()): number[] {
  const borders = widths.length + 1;
  const fitted = [...widths];
  const isTooWide = () => fitted.reduce((sum, width) => sum + width, borders) > columns;
  for (let widest = Math.max(...fitted); widest > MIN_WIDTH && isTooWide(); widest = Math.max(...fitted)) {
    fitted[fitted.indexOf(widest)] = widest - 1;
  }
  return fitted;
}

function render(rows: string[][], options: Table.TableConstructorOptions): string {
  const table = new Table({ ...options, style: { head: [], border: [] } });
  table.push(...rows);
  return table.toString();
}

function terminalColumns(): number {
  return process.stdout.columns || WIDTH_WITHOUT_TERMINAL;
}

/** Breaks words that are wider than their column, such as image names. Otherwise the table would truncate these words. */
function breakable(text: string, width: number): string {
  const room = width - 2;
  const piece = new RegExp(`\\S{${room}}(?=\\S)`, "g");
  // The codes of a colour have no width.
  const isTooWide = (word: string) => stripVTControlCharacters(word).length > room;
  return text.replace(/\S+/g, (word) => (isTooWide(word) ? word.replace(piece, "$&\n") : word));
}
