import { readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { destroy, type EngineOptions, refresh, type StepEvent, up } from "../../local/pulumi/engine";
import { stage } from "./stage";

const on = stage();

/** Pulumi's mark of a secret in the state. */
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

/** A program with the endpoint and its secrets, as the stack has them. */
async function webhookProgram(): Promise<EngineOptions> {
  const { program, config } = on();
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

const shown = (steps: StepEvent[]) =>
  steps.filter(({ custom }) => custom).map(({ op, type }) => `${op} ${type.split(":").at(-1)}`);

it("a new generation is there, and its secret told, before the old endpoint goes", async () => {
  const { stripe, config } = on();
  const options = await webhookProgram();
  const generation = (n: number) => ({ ...options.config, "snack-misaki:generation": String(n) });
  const alive = () => stripe.account.webhookEndpoints();
  /** The resource of a type in the saved state. */
  const saved = async (type: string) => {
    const { resources } = JSON.parse(await readFile(options.statePath, "utf8"));
    return resources.find((resource: { type: string }) => resource.type.endsWith(type));
  };

  const first = await up({ ...options, config: generation(1) });
  expect(shown(first.steps)).toEqual(["create WebhookEndpoint", "create WebhookSecrets"]);
  const [old] = alive();
  expect(first.outputs).toEqual({ id: old?.id, parameter: "[secret]" });
  expect((await saved("WebhookSecrets")).outputs).toMatchObject({ current: { ...SECRET, value: old?.secret } });

  await refresh({ ...options, config: generation(1) });
  expect(shown((await up({ ...options, config: generation(1) })).steps)).toEqual([
    "same WebhookEndpoint",
    "same WebhookSecrets",
  ]);

  const aliveAtStep: number[] = [];
  const onStep = ({ custom }: StepEvent) => {
    if (custom) aliveAtStep.push(alive().length);
  };
  const second = await up({ ...options, config: generation(2), onStep });
  expect(shown(second.steps).slice(0, 2)).toEqual(["replace WebhookEndpoint", "update WebhookSecrets"]);
  expect(aliveAtStep.slice(0, 2)).toEqual([2, 2]);
  const [fresh, ...others] = alive();
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
  const unmarked = JSON.parse(state, (_, value) => (isDeepStrictEqual({ ...value, ...SECRET }, value) ? null : value));
  expect(JSON.stringify(unmarked)).not.toContain("whsec_");

  await destroy({ ...options, config: generation(2) });
  expect(alive()).toEqual([]);
});
