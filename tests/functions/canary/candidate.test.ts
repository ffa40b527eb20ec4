import { describe, expect, it } from "vitest";
import { isChosen, keepLive } from "../../../functions/core/canary/candidate";

const users = Array.from({ length: 100_000 }, (_, user) => `user-${user}`);
const at = (share: number, image = "2026-12-01", testers: string[] = []) => ({ image, share, testers, isReady: true });
const chosen = (share: number, image?: string) => users.filter((user) => isChosen("mistral", at(share, image), user));

const five = chosen(5);

describe("choice of a candidate", () => {
  it("chooses 5% of 100,000 users, within 0.2 points", () => {
    expect(five.length / 1_000).toBeGreaterThan(4.8);
    expect(five.length / 1_000).toBeLessThan(5.2);
  });

  it("gives a user the same answer every time", () => {
    expect(chosen(5)).toEqual(five);
  });

  it("returns no user to the released model when the share grows", () => {
    const larger = new Set(chosen(25));
    expect(five.filter((user) => !larger.has(user))).toEqual([]);
  });

  it("chooses nobody at 0 and everybody at 100", () => {
    expect(chosen(0)).toEqual([]);
    expect(chosen(100)).toHaveLength(users.length);
  });

  it("chooses other users for another candidate", () => {
    const next = new Set(chosen(5, "2027-01-01"));
    const both = five.filter((user) => next.has(user));
    // 5% of 5% of the users.
    expect(both.length).toBeGreaterThan(150);
    expect(both.length).toBeLessThan(350);
  });

  it("chooses other users for another model", () => {
    const phi3 = users.filter((user) => isChosen("phi3", at(5), user));
    expect(phi3).not.toEqual(five);
  });

  it("always chooses a tester", () => {
    expect(isChosen("mistral", at(0, "2026-12-01", ["tester"]), "tester")).toBe(true);
    expect(isChosen("mistral", at(0, "2026-12-01", ["tester"]), "user-1")).toBe(false);
  });

  it("chooses guests by their guest id", () => {
    const guests = users.map((user) => `guest:${user}`);
    const share = guests.filter((guest) => isChosen("phi3", at(5), guest)).length / 1_000;
    expect(share).toBeGreaterThan(4.8);
    expect(share).toBeLessThan(5.2);
  });
});

describe("live values of a candidate", () => {
  const source = { image: "2026-12-01", url: "https://api.runpod.ai/v2/ep2", share: 25, testers: ["tester"] };
  const override = {
    ...{ share: 0, isAborted: false, replaces: 25, by: "verdict" as const, at: "2026-12-02T03:00:00.000Z" },
    reason: "3 replies break the contract.",
  };
  const live = { ...source, isReady: true, override };

  it("choose only testers before a worker has answered", () => {
    const all = { ...source, share: 100, isReady: false };
    expect(isChosen("mistral", all, "tester")).toBe(true);
    expect(isChosen("mistral", all, "user-1")).toBe(false);
  });

  it("choose only testers after a rollback, and nobody after an abort", () => {
    expect(isChosen("mistral", { ...live, share: 100 }, "user-1")).toBe(false);
    expect(isChosen("mistral", live, "tester")).toBe(true);
    expect(isChosen("mistral", { ...live, override: { ...override, isAborted: true } }, "tester")).toBe(false);
  });

  it("keep a rollback when the configuration has another tester", () => {
    expect(keepLive({ ...source, testers: [] }, live)).toEqual({ ...live, testers: [] });
  });

  it("lose a rollback when the configuration has another share", () => {
    expect(keepLive({ ...source, share: 10 }, live)).toEqual({ ...source, share: 10, isReady: true });
  });

  it("are lost when the configuration has another image, or when the endpoint is another one", () => {
    for (const changed of [{ image: "2027-01-01" }, { url: "https://api.runpod.ai/v2/ep3" }]) {
      expect(keepLive({ ...source, ...changed }, live)).toEqual({ ...source, ...changed, isReady: false });
    }
    expect(keepLive(source, undefined)).toEqual({ ...source, isReady: false });
  });
});
