import { describe, expect, it } from "vitest";
import { VirtualTime } from "../../../verify/chaos/billing/virtualTime";
import { Random } from "../../../verify/chaos/random";

describe("VirtualTime", () => {
  it("fires timers in order of time, and timers with the same time in order of creation", async () => {
    const time = new VirtualTime(0);
    const random = new Random(1);
    const set = Array.from({ length: 500 }, (_, order) => ({ at: random.int(0, 50), order }));
    const fired: typeof set = [];
    for (const timer of set) time.at(timer.at, () => fired.push(timer));
    await time.runUntil(100);
    expect(fired).toEqual(set.toSorted((one, other) => one.at - other.at || one.order - other.order));
    expect(time.now).toBe(100);
  });

  it("completes the code that awaits a timer before it fires the next timer", async () => {
    const time = new VirtualTime(0);
    const seen: string[] = [];
    const work = async (name: string): Promise<void> => {
      await time.sleep(10);
      for (let hops = 0; hops < 100; hops += 1) await null;
      seen.push(`${name} at ${time.now}`);
    };
    void work("one");
    void work("two");
    time.at(10, () => seen.push("timer"));
    await time.runUntil(20);
    expect(seen).toEqual(["one at 10", "two at 10", "timer"]);
  });

  it("fires no timer after the end time, and throws the error that was passed to fail", async () => {
    const time = new VirtualTime(0);
    const seen: number[] = [];
    for (const at of [5, 6]) time.at(at, () => seen.push(at));
    await time.runUntil(5);
    expect(seen).toEqual([5]);
    time.at(7, () => time.fail(new Error("a bug")));
    await expect(time.runUntil(10)).rejects.toThrow("a bug");
  });
});
