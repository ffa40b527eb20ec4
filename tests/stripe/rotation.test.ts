import { readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { destroy, type EngineOptions, refresh, type StepEvent, up } from "../../local/pulumi/engine";
import { stripeFixture } from "./fixture";

const fixture = stripeFixture();

/** Fields with which Pulumi marks a secret in the state. */
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

/** Writes a program with the endpoint and its secrets, as in the product. */
async function webhookProgram(): Promise<EngineOptions> {
  const { program, config } = fixture();
  const programDir = program.folder;
  const source = (name: string) => JSON.stringify(resolve(`stripe/${name}`));
  await symlink(resolve("node_modules"), join(programDir, "node_modules"));
  await writeFile(join(programDir, "package.json"), JSON.stringify({ name: "program", main: "index.ts" }));
  await writeFile(
    join(programDir, "tsconfig.json"),
    JSON.stringify({ extends: resolve("tsconfig.json"), include: ["index.ts"] }),
  );
  await writeFile(
    join(programDir, "index.ts"),
    `import * as pulumi from "@pulumi/pulumi";
     import { WebhookEndpoint } from ${source("webhookEndpoint")};
     import { WebhookSecrets } from ${source("webhookSecrets")};
     const endpoint = new WebhookEndpoint("stripe", {
       url: "https://api.example.com/webhook/stripe",
       enabledEvents: ["invoice.paid"],
       description: "snack-misaki/dev",
       secretGeneration: new pulumi.Config().requireNumber("generation"),
     });
     const { current, previous } = new WebhookSecrets("stripe", { secret: endpoint.secret });
     export const id = endpoint.id;
     export const parameter = pulumi.jsonStringify({ current, previous });`,
  );
  const own = Object.entries(config).map(([key, value]) => [`snack-misaki:${key}`, value]);
  return {
    programDir,
    project: "snack-misaki",
    stack: "dev",
    config: Object.fromEntries(own),
    secretKeys: ["snack-misaki:stripeWebhookKey"],
    statePath: join(programDir, "state.json"),
    providers: {},
  };
}

/** Lists the operation and the resource type of each step. */
const summary = (steps: StepEvent[]) =>
  steps.filter(({ custom }) => custom).map(({ op, type }) => `${op} ${type.split(":").at(-1)}`);

it("raising secretGeneration creates a new endpoint and stores its secret before the old endpoint is deleted", async () => {
  const { stripe, config } = fixture();
  const options = await webhookProgram();
  const generation = (n: number) => ({ ...options.config, "snack-misaki:generation": String(n) });
  const existing = () => stripe.account.webhookEndpoints();
  /** Returns the resource of the given type from the state file. */
  const saved = async (type: string) => {
    const { resources } = JSON.parse(await readFile(options.statePath, "utf8"));
    return resources.find((resource: { type: string }) => resource.type.endsWith(type));
  };

  const first = await up({ ...options, config: generation(1) });
  expect(summary(first.steps)).toEqual(["create WebhookEndpoint", "create WebhookSecrets"]);
  const [old] = existing();
  expect(first.outputs).toEqual({ id: old?.id, parameter: "[secret]" });
  expect((await saved("WebhookSecrets")).outputs).toMatchObject({ current: { ...SECRET, value: old?.secret } });

  await refresh({ ...options, config: generation(1) });
  expect(summary((await up({ ...options, config: generation(1) })).steps)).toEqual([
    "same WebhookEndpoint",
    "same WebhookSecrets",
  ]);

  const countAtStep: number[] = [];
  const onStep = ({ custom }: StepEvent) => {
    if (custom) countAtStep.push(existing().length);
  };
  const second = await up({ ...options, config: generation(2), onStep });
  expect(summary(second.steps).slice(0, 2)).toEqual(["replace WebhookEndpoint", "update WebhookSecrets"]);
  expect(countAtStep.slice(0, 2)).toEqual([2, 2]);
  const [fresh, ...others] = existing();
  expect(others).toEqual([]);
  expect(fresh?.id).toBe(second.outputs.id);
  expect(fresh?.id).not.toBe(old?.id);
  expect((await saved("WebhookSecrets")).outputs).toMatchObject({
    current: { ...SECRET, value: fresh?.secret },
    previous: { ...SECRET, value: old?.secret },
  });
  expect((await saved("WebhookEndpoint")).outputs.secret).toEqual({ ...SECRET, value: fresh?.secret });
  const state = await readFile(options.statePath, "utf8");
  expect(state).not.toContain(config.stripeWebhookKey);
  const withoutSecrets = JSON.parse(state, (_, value) =>
    isDeepStrictEqual({ ...value, ...SECRET }, value) ? null : value,
  );
  expect(JSON.stringify(withoutSecrets)).not.toContain("whsec_");

  await destroy({ ...options, config: generation(2) });
  expect(existing()).toEqual([]);
});
