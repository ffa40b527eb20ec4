import type { WriteStream } from "node:tty";
import pc from "picocolors";

const CLEAR_LINE = "\r\u001b[K";

/** Shows the progress of a long command. Functions are bound, so that they can be passed on alone. */
export class Progress {
  constructor(private readonly stream: Pick<WriteStream, "write" | "isTTY" | "columns">) {}

  /** Prints a line that stays. */
  readonly step = (text: string): void => {
    this.clear();
    this.stream.write(`${pc.dim(text)}\n`);
  };

  /** Shows what is being done now, on one line that the next call replaces. Shows nothing outside a terminal. */
  readonly activity = (text: string): void => {
    if (!this.stream.isTTY) return;
    this.stream.write(`${CLEAR_LINE}${pc.dim(`  ${text}`.slice(0, (this.stream.columns || 80) - 1))}`);
  };

  /** Removes the line of the last activity. */
  readonly clear = (): void => {
    if (this.stream.isTTY) this.stream.write(CLEAR_LINE);
  };
}
