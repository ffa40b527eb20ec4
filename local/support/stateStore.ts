import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

type Tables = Record<string, Record<string, unknown>>;

/**
 * The state of a double: records in memory, and a copy of each record in an SQLite file. A change writes only the
 * changed record, so its cost does not depend on the size of the state. All changes of one turn of the event loop are
 * one transaction. A crash loses only the changes of the current turn.
 */
export class StateStore<S extends { [K in keyof S]: Record<string, unknown> }> {
  /** The records, in the order of their creation. Call `save` after a change. */
  readonly data: S;
  private file: File | undefined;
  private readonly changed = new Map<string, [table: string, id: string]>();

  /**
   * @param path the file, which the first change creates. Undefined keeps the state only in memory
   * @param empty all tables, with the records of a new state
   * @throws Error when the file is not an SQLite file
   */
  constructor(
    private readonly path: string | undefined,
    empty: S,
  ) {
    this.data = empty;
    if (path === undefined || !existsSync(path)) {
      const tables: Tables = empty;
      for (const [table, records] of Object.entries(tables))
        for (const id of Object.keys(records)) this.save(table as keyof S & string, id);
      return;
    }
    this.file = new File(path);
    this.file.load(empty);
  }

  /**
   * Writes one record to the file at the end of this turn. Removes the record from the file when it is no longer in
   * `data`.
   */
  save<K extends keyof S & string>(table: K, id: string): void {
    if (this.path === undefined) return;
    if (this.changed.size === 0) queueMicrotask(() => this.flush());
    this.changed.set(`${table} ${id}`, [table, id]);
  }

  /** Writes all pending changes and closes the file. A later change opens it again. */
  close(): void {
    this.flush();
    this.file?.close();
    this.file = undefined;
  }

  private flush(): void {
    if (this.path === undefined || this.changed.size === 0) return;
    this.file ??= new File(this.path);
    this.file.write([...this.changed.values()], this.data);
    this.changed.clear();
  }
}

/** The SQLite file of a state. */
class File {
  private readonly database: DatabaseSync;

  /** Opens or creates the file. Mode 0600, because a state can hold secrets. */
  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    closeSync(openSync(path, "a", 0o600));
    this.database = new DatabaseSync(path);
    try {
      // Writes do not wait for the disk, because the state of a double does not have to survive a power failure.
      this.database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
      this.database.exec(
        "CREATE TABLE IF NOT EXISTS records (name TEXT, id TEXT, json TEXT NOT NULL, PRIMARY KEY (name, id))",
      );
    } catch (cause) {
      this.database.close();
      throw new Error(`${path} is not a valid state. Delete it to start with an empty state.`, { cause });
    }
  }

  /** Adds all records of the file to the tables. Skips tables of an earlier version that no longer exist. */
  load(tables: Tables): void {
    for (const { name, id, json } of this.database.prepare("SELECT name, id, json FROM records ORDER BY rowid").all()) {
      const table = tables[String(name)];
      if (table) table[String(id)] = JSON.parse(String(json));
    }
  }

  write(changed: [table: string, id: string][], tables: Tables): void {
    const upsert = this.database.prepare(
      "INSERT INTO records (name, id, json) VALUES (?, ?, ?) ON CONFLICT (name, id) DO UPDATE SET json = excluded.json",
    );
    const remove = this.database.prepare("DELETE FROM records WHERE name = ? AND id = ?");
    this.database.exec("BEGIN");
    for (const [name, id] of changed) {
      const record = tables[name]?.[id];
      if (record === undefined) remove.run(name, id);
      else upsert.run(name, id, JSON.stringify(record));
    }
    this.database.exec("COMMIT");
  }

  close(): void {
    this.database.close();
  }
}
