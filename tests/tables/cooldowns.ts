import { expect, it } from "vitest";
import { createCooldowns } from "../../functions/core/relay/cooldown";
import type { Provider } from "../../functions/core/relay/provider";
import { createCooldownStore } from "../../functions/tables/cooldowns";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

const unused = () => {
  throw new Error("These tests must not call a provider");
};
const a: Provider = { name: "anthropic", model: "model-a", stream: unused };
const b: Provider = { name: "openai", model: "model-b", stream: unused };

/** Tests of `functions/tables/cooldowns.ts`, for any server with DynamoDB's API. */
export function testCooldowns(tables: () => Tables): void {
  const start = Date.now();
  const at = (seconds: number) => new Date(start + seconds * 1000);
  const open = () => createCooldownStore(tables().ephemeral);

  it("stores, replaces and removes the end of a cooldown", async () => {
    const store = open();
    expect(await store.read(["a", "b"])).toEqual(new Map());
    await store.write("a", start);
    await store.write("a", start + 1);
    expect(await store.read(["a", "b"])).toEqual(new Map([["a", start + 1]]));
    expect(await store.replace("a", start, start + 2)).toBe(false);
    expect(await store.replace("a", start + 1, start + 2)).toBe(true);
    expect(await store.replace("b", start, start + 2)).toBe(false);
    expect(await store.read(["a", "b"])).toEqual(new Map([["a", start + 2]]));
    await store.remove("a");
    await store.remove("a");
    expect(await store.read(["a"])).toEqual(new Map());
  });

  it("replaces a cooldown only once when many containers replace it at the same time", async () => {
    await open().write("a", start);
    const replaced = await Promise.all(Array.from({ length: 20 }, (_, n) => open().replace("a", start, start + n + 1)));
    expect(replaced.filter(Boolean)).toHaveLength(1);
  });

  it("gives an item a TTL of an hour after the cooldown's end", async () => {
    await open().write("a", start);
    expect(await readEphemeral(tables(), "cooldown#a")).toMatchObject({
      end_ms: start,
      ttl: Math.ceil(start / 1000) + 3_600,
    });
  });

  it("lets only one chat try a provider after its cooldown, and every chat after a reply", async () => {
    const containers = Array.from({ length: 10 }, () => createCooldowns(open()));
    const firsts = async (seconds: number) => {
      const orders = await Promise.all(containers.map((one) => one.order([a, b], at(seconds))));
      return orders.map(([first]) => first);
    };
    await createCooldowns(open()).failed(a, "overloaded", undefined, at(0));
    expect(await firsts(10)).toEqual(Array(10).fill(b));
    const probes = await firsts(20);
    expect(probes.filter((first) => first === a)).toHaveLength(1);
    await containers[probes.indexOf(a)]?.succeeded(a);
    expect(await firsts(25)).toEqual(Array(10).fill(a));
  });

  it("throws unavailable when the table does not answer", async () => {
    const store = createCooldownStore("no-such-table");
    const unavailable = { code: "unavailable" };
    await expect(store.read(["a"])).rejects.toMatchObject(unavailable);
    await expect(store.write("a", start)).rejects.toMatchObject(unavailable);
    await expect(store.replace("a", start, start + 1)).rejects.toMatchObject(unavailable);
    await expect(store.remove("a")).rejects.toMatchObject(unavailable);
  });
}
