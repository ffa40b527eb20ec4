import { describe, expect, it } from "vitest";
import type { EndpointRecord } from "../../runpod/client";
import { duplicatesOf } from "../../runpod/duplicates";

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
