import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

const MAX_LINES = 250;

/** Newest lines of a process's output. Reads all output, because a process blocks when its pipe is full. */
export class LastLines {
  private readonly lines: string[] = [];

  /** Collects the lines of a stream until it ends. Empty lines are dropped. */
  read(stream: Readable): void {
    createInterface(stream).on("line", (line) => {
      if (line.trim()) this.lines.push(line);
      if (this.lines.length > MAX_LINES) this.lines.shift();
    });
  }

  /** The newest lines below a heading, for an error message. At most 250 lines are kept. */
  toString(most = 12): string {
    const last = this.lines.slice(-most);
    return last.length > 0 ? `Its last lines:\n${last.join("\n")}` : "It has written nothing.";
  }
}
