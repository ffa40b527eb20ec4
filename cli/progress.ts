import type { WriteStream } from "node:tty";
import pc from "picocolors";

const CLEAR_LINE = "\r\u001b[K";

/**
 * Shows the progress of a long command. Each method is bound to its object, so a caller can pass the method as a
 * callback.
 */
export class Progress {
  constructor(private readonly stream: Pick<WriteStream, "write" | "isTTY" | "columns">) {}

  /** Prints a permanent line. */
  readonly step = (text: string): void => {
    this.clear();
    this.stream.write(`${pc.dim(text)}\n`);
  };

  /**
   * Shows the current activity on one line, which the next call replaces. Shows nothing when the output is not a
   * terminal.
   */
  readonly activity = (text: string): void => {
    if (!this.stream.isTTY) return;
    this.stream.write(`${CLEAR_LINE}${pc.dim(`  ${text}`.slice(0, (this.stream.columns || 80) - 1))}`);
  };

  /** Removes the line that `activity` printed. */
  readonly clear = (): void => {
    if (this.stream.isTTY) this.stream.write(CLEAR_LINE);
  };
}
