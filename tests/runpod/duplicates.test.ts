import { describe, expect, it } from "vitest";
import type { EndpointRecord, RunpodClient } from "../../runpod/client";
import { deleteEndpoints, duplicatesOf } from "../../runpod/duplicates";
import { RunpodError } from "../../runpod/error";

const own = { id: "one", name: "snack-phi3", owner: "snack-misaki/dev", sourceTemplateId: "tpl" } as EndpointRecord;

describe("Duplicates of an endpoint", () => {
  it("are the endpoints with the same owner, name and template", () => {
    const twin = { ...own, id: "two" };
    expect(duplicatesOf(own, [own, twin, { ...own, id: "three", name: "snack-mistral" }])).toEqual([twin]);
  });

  it.each(["owner", "sourceTemplateId"] as const)(
    "are not found when RunPod does not return the %s, because the endpoints may belong to another owner",
    (field) => {
      const bare = { ...own, [field]: undefined };
      expect(duplicatesOf(bare, [bare, { ...bare, id: "two" }])).toEqual([]);
    },
  );
});

describe("deleteEndpoints", () => {
  /** Deletes three endpoints. Returns the ids of the deleted endpoints and the error. */
  async function remove(refused: Record<string, string>) {
    const deleted: string[] = [];
    const client = {
      scaleToZero: async () => {},
      deleteEndpoint: async (id: string) => {
        const why = refused[id];
        if (why) throw new RunpodError(why, { transient: false });
        // This delete ends after the refusals.
        await new Promise((resolve) => setImmediate(resolve));
        deleted.push(id);
      },
    } as unknown as RunpodClient;
    const endpoints = ["one", "two", "three"].map((id) => ({ ...own, id, workersMin: 0, workersMax: 1 }));
    const inUse = { intervalMs: 1, limitMs: 0 };
    const error = await deleteEndpoints({ client, inUse }, endpoints).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    );
    return { deleted, error };
  }

  it("deletes all other endpoints when one delete fails, and then throws the error of that delete", async () => {
    expect(await remove({ one: "RunPod refused one." })).toEqual({
      deleted: ["two", "three"],
      error: "RunPod refused one.",
    });
  });

  it("throws one error with every reason when several deletes fail", async () => {
    const refused = { one: "RunPod refused one.", three: "RunPod refused three." };
    expect(await remove(refused)).toEqual({ deleted: ["two"], error: "RunPod refused one. RunPod refused three." });
  });
});
