import { expect, it } from "vitest";
import { previewStack } from "../../local/cloud/previewStack";

const silent = { step: () => {}, activity: () => {} };

it("npm run preview:local shows exactly an image, a template, an endpoint and a parameter for a candidate of stack dev", async () => {
  const change = { overrides: { "mistral.candidate.imageTag": "2026-12-01" }, isChange: true };
  const { steps } = await previewStack("dev", change, silent);
  const changed = steps.filter(({ op, custom }) => custom && op !== "same" && op !== "read");
  expect(changed.map(({ op, type, name }) => `${op} ${type} ${name}`).sort()).toEqual([
    "create aws:ssm/parameter:Parameter mistral-candidate",
    "create docker-build:index:Image mistral-2026-12-01",
    "create pulumi-nodejs:dynamic/runpod:Endpoint mistral-candidate",
    "create pulumi-nodejs:dynamic/runpod:Template mistral-candidate",
  ]);
}, 600_000);
