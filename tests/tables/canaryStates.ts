import { expect, it, vi } from "vitest";
import { CanaryState, firstState } from "../../functions/core/canary/state";
import { createCanaryStates } from "../../functions/tables/canaryStates";
import type { Tables } from "./tables";

/** Tests of `functions/tables/canaryStates.ts`, for any server with DynamoDB's API. */
export function testCanaryStates(tables: () => Tables): void {
  const now = new Date("2026-01-01T00:00:00.000Z");
  const open = () => createCanaryStates(tables().ephemeral);
  const candidate = { image: "2", url: "https://api.runpod.ai/v2/ep2", share: 5, testers: [], isReady: false };
  const state = firstState(candidate, [], now.toISOString());

  it("is undefined at first, and then the state that was written last", async () => {
    expect(await open().read("mistral")).toBeUndefined();
    await open().write("mistral", { ...state, job: { id: "job", sentAt: now.toISOString() } }, now);
    await open().write("mistral", { ...state, unsent: undefined }, now);
    expect(await open().read("mistral")).toEqual(CanaryState.parse(state));
    expect(await open().read("phi3")).toBeUndefined();
  });

  it("is undefined with an alarm when the stored one is not valid, and the next write replaces it", async () => {
    const alarm = vi.spyOn(console, "error").mockImplementation(() => {});
    await open().write("mistral", { ...state, share: "x" } as unknown as CanaryState, now);
    expect(await open().read("mistral")).toBeUndefined();
    expect(alarm).toHaveBeenCalledWith(expect.objectContaining({ alarm: "candidate_unreadable", model: "mistral" }));
    alarm.mockRestore();
    await open().write("mistral", state, now);
    expect(await open().read("mistral")).toEqual(CanaryState.parse(state));
  });

  it("throws unavailable when the table does not answer", async () => {
    const states = createCanaryStates("no-such-table");
    await expect(states.read("mistral")).rejects.toMatchObject({ code: "unavailable" });
    await expect(states.write("mistral", state, now)).rejects.toMatchObject({ code: "unavailable" });
  });
}
