import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * A JSON document in a file, for small documents. Each save writes a new file and then renames it, so that a crash
 * leaves either the old or the new document.
 */
export class JsonFile<T> {
  /** The document. Call `save` after a change. */
  data: T;

  /**
   * @param initial the document that is used when the file does not exist
   */
  constructor(
    private readonly path: string,
    initial: T,
  ) {
    this.data = read(path) ?? initial;
  }

  /** Writes the document to the file. */
  save(): void {
    mkdirSync(dirname(this.path), { recursive: true });
    const temporary = `${this.path}.new`;
    writeFileSync(temporary, JSON.stringify(this.data, null, 1), { mode: 0o600 });
    renameSync(temporary, this.path);
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
    throw new Error(`${path} is not valid JSON. Delete it to start with an empty state.`, { cause });
  }
}
