import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StateStore } from "../../../local/support/stateStore";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "snack-store-"));
  path = join(dir, "deep", "state.db");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface State {
  users: Record<string, { age: number }>;
  counters: Record<string, number>;
}
const open = () => new StateStore<State>(path, { users: {}, counters: { made: 0 } });
const turn = () => new Promise(setImmediate);

describe("state store of a double", () => {
  it("has the same records in the same order after a restart", async () => {
    const { data, save } = bound(open());
    for (const id of ["b", "a", "c"]) {
      data.users[id] = { age: 1 };
      save("users", id);
    }
    await turn();
    data.users.a = { age: 2 };
    delete data.users.c;
    save("users", "a");
    save("users", "c");
    await turn();
    // The test does not close the first store, which simulates a crash.
    expect(Object.entries(open().data.users)).toEqual([
      ["b", { age: 1 }],
      ["a", { age: 2 }],
    ]);
  });

  it("writes only the changed record", async () => {
    const { data, save } = bound(open());
    for (let id = 0; id < 100; id++) {
      data.users[`u${id}`] = { age: 1 };
      save("users", `u${id}`);
    }
    await turn();
    const database = new DatabaseSync(path);
    database.exec("UPDATE records SET json = '{\"age\":99}' WHERE id <> 'u7'");
    database.close();
    data.users.u7 = { age: 2 };
    save("users", "u7");
    await turn();
    const { users } = open().data;
    expect([users.u7, users.u8]).toEqual([{ age: 2 }, { age: 99 }]);
  });

  it("stores the records of a new state", async () => {
    const first = open();
    first.data.counters.made = 5;
    await turn();
    expect(open().data.counters).toEqual({ made: 5 });
    first.close();
  });

  it("creates its file at the first change, readable only by its owner", async () => {
    const store = new StateStore<Pick<State, "users">>(path, { users: {} });
    await turn();
    expect(() => statSync(path)).toThrow("ENOENT");
    store.data.users.a = { age: 1 };
    store.save("users", "a");
    store.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("rejects a file that is not a state, and names the file", () => {
    path = join(dir, "account.db");
    writeFileSync(path, JSON.stringify({ users: {} }).padEnd(4_096));
    expect(open).toThrow(`${path} is not a valid state. Delete it to start with an empty state.`);
  });
});

function bound(store: StateStore<State>) {
  return { data: store.data, save: store.save.bind(store) };
}
