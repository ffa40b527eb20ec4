import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OidcStore } from "../../../local/cognito/adapter";
import { idToUuid, uuidOf, uuidToId } from "../../../local/cognito/uuid";
import { StateStore } from "../../../local/support/stateStore";

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "cognito-store-"));
  path = join(dir, "oidc.db");
});

afterEach(() => {
  vi.useRealTimers();
  rmSync(dir, { recursive: true });
});

describe("OidcStore", () => {
  it("keeps the entries of each oidc-provider model for the next process", async () => {
    await new OidcStore(path).adapter("RefreshToken").upsert("a", { clientId: "web" }, 60);
    const store = new OidcStore(path);
    expect(await store.adapter("RefreshToken").find("a")).toEqual({ clientId: "web" });
    expect(await store.adapter("AccessToken").find("a")).toBeUndefined();
  });

  it("deletes expired entries from memory and from the file", async () => {
    vi.useFakeTimers();
    const tokens = new OidcStore(path).adapter("AccessToken");
    await tokens.upsert("old", { uid: "u" }, 60);
    vi.advanceTimersByTime(60_000);
    expect(await tokens.find("old")).toBeUndefined();
    expect(await tokens.findByUid("u")).toBeUndefined();
    await tokens.upsert("new", {}, 60);
    await Promise.resolve();
    expect(Object.keys(new StateStore(path, { entries: {} }).data.entries)).toEqual(["AccessToken:new"]);
  });

  it("revokes only the tokens of the given grant", async () => {
    const tokens = new OidcStore(path).adapter("AccessToken");
    await tokens.upsert("a", { grantId: "1" }, 60);
    await tokens.upsert("b", { grantId: "2" }, 60);
    await tokens.revokeByGrantId("1");
    expect(await tokens.find("a")).toBeUndefined();
    expect(await tokens.find("b")).toBeDefined();
  });

  it("marks a code as used, and finds a session by its uid", async () => {
    const store = new OidcStore(path);
    await store.adapter("AuthorizationCode").upsert("c", {}, 60);
    await store.adapter("AuthorizationCode").consume("c");
    expect((await store.adapter("AuthorizationCode").find("c"))?.consumed).toBeTypeOf("number");
    await store.adapter("Session").upsert("s", { uid: "u" }, 60);
    expect(await store.adapter("Session").findByUid("u")).toEqual({ uid: "u" });
  });
});

describe("UUIDs", () => {
  it("are the same for the same text and differ for different texts", () => {
    expect(uuidOf("free@example.com")).toBe(uuidOf("free@example.com"));
    expect(uuidOf("free@example.com")).not.toBe(uuidOf("paid@example.com"));
    expect(uuidOf("x")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("can be converted back to the original id", () => {
    for (const id of ["AAAAAAAAAAAAAAAAAAAAA", "_-_-_-_-_-_-_-_-_-_-_", "useandom-26T198340PX7"]) {
      expect(uuidToId(idToUuid(id))).toBe(id);
    }
  });
});
