import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * A JSON document in a file, written whole and renamed into place, so that a crash leaves the old or the new one.
 * What the local cloud must remember over a restart and has no store of its own lives in one of these.
 */
export class JsonFile<T> {
  /** The document. Change it, then call `save`. */
  data: T;

  /** @param initial the document of a first start */
  constructor(
    private readonly path: string,
    initial: T,
  ) {
    this.data = read(path) ?? initial;
  }

  /** Writes the document out. */
  save(): void {
    mkdirSync(dirname(this.path), { recursive: true });
    const scratch = `${this.path}.new`;
    writeFileSync(scratch, JSON.stringify(this.data, null, 1), { mode: 0o600 });
    renameSync(scratch, this.path);
  }
}

function read<T>(path: string): T | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new Error(`${path} is not valid JSON. Delete it to start afresh.`, { cause });
  }
}
