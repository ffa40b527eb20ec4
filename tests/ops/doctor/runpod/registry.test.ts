import { expect, it } from "vitest";
import { byModel } from "../../../../contract/plan";
import { checkRegistry } from "../../../../ops/doctor/runpod/registry";
import type { TemplateRecord } from "../../../../runpod/client";

const config = { stack: "dev", registry: { kind: "delegation" as const, ids: byModel(() => "deleg_1") } };
const imageName = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/phi3:1";

const none = { items: [], unreadable: [] };

it("doctor does not report credentials as missing when an entry of RunPod's list cannot be read", () => {
  const ecr = { ...config, registry: { kind: "ecr" as const } };
  const template = { imageName, containerRegistryAuthId: "auth_1" } as TemplateRecord;
  expect(checkRegistry("phi3", ecr, template, { items: [], unreadable: ["auth_1"] }, [])).toMatchObject({
    status: "unknown",
    seen: expect.stringContaining("it is unknown whether credentials auth_1 exist"),
  });
  expect(checkRegistry("phi3", ecr, template, none, []).status).toBe("failed");
});

it.each([
  ["warns about", [], "warning", /RunPod has refused its id, or somebody has removed it; no host reports an error$/],
  ["fails with the host's reason for", ["pull access denied"], "failed", /rejects the pull: pull access denied$/],
])("doctor %s a template without the delegation of its private image", (_verb, problems, status, seen) => {
  const check = checkRegistry("phi3", config, { imageName } as TemplateRecord, none, problems);
  expect(check).toMatchObject({
    status,
    seen: expect.stringMatching(seen),
    todo: expect.stringContaining("pulumi up --refresh"),
  });
});
