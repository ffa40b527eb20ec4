import { describe, expect, it } from "vitest";
import type { UnfinishedError } from "../../dynamic/unfinished";
import { registryAuth } from "../../runpod/registryAuthProvider";
import { setRetryPolicy } from "../../runpod/retry";
import { secret } from "../../runpod/secretProvider";
import { secretReference } from "../../runpod/secretReference";
import { template } from "../../runpod/templateProvider";
import { configureProvider, fault, OWNER, templateInputs, useAccount } from "./account";

const account = useAccount();
const VALUE = "hf_canary_value_1";
const inputs = { owner: OWNER, name: "snack-misaki-dev-phi3-huggingface-token", value: VALUE };
const values = () => account.runpod.account.secrets.all.map(({ name, value }) => [name, value]);

/** Names of the calls in the double's fault patterns, for each API. */
const calls = {
  graphql: { list: "myself", create: "secretCreate", update: "secretValueUpdate", remove: "secretDelete" },
  rest: {
    list: "GET /v2/account/secrets",
    create: "POST /v2/account/secrets",
    update: "PATCH /v2/account/secrets/*",
    remove: "DELETE /v2/account/secrets/*",
  },
};

describe.each(["graphql", "rest"] as const)("A secret of the RunPod account (%s)", (api) => {
  const fail = (call: keyof (typeof calls)["rest"], ...[answer, more]: [Parameters<typeof fault>[1], object?]) =>
    account.runpod.switches.faults.push(fault(calls[api][call], answer, more));

  it("is created once, and a template contains only the reference, not the value", async () => {
    configureProvider(account.runpod, api);
    await secret.create(inputs);
    const env = { HF_TOKEN: secretReference(inputs.name) };
    await template.create({ ...templateInputs, env });
    expect(values()).toEqual([[inputs.name, VALUE]]);
    const stored = JSON.stringify(account.runpod.account.templates);
    expect(stored).toContain(env.HF_TOKEN);
    expect(stored).not.toContain(VALUE);
  });

  it.each([
    ["before the connection breaks", { done: true }],
    ["after the connection breaks", { done: true, landsAfterMs: 20 }],
  ])("is adopted when RunPod creates it %s and the response is lost", async (_case, more) => {
    configureProvider(account.runpod, api);
    fail("create", "cut", more);
    const { id } = await secret.create(inputs);
    expect(account.runpod.account.secrets.all.map((each) => each.id)).toEqual([id]);
  });

  it("is adopted with the new value when RunPod answers that the name is taken", async () => {
    configureProvider(account.runpod, api);
    account.runpod.switches.listLagMs = 100;
    const { id } = await secret.create(inputs);
    expect((await secret.create({ ...inputs, value: "hf_canary_value_2" })).id).toBe(id);
    expect(values()).toEqual([[inputs.name, "hf_canary_value_2"]]);
  });

  it("gets a new value in place, and the output says when workers get this value", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    const news = { ...inputs, value: "hf_canary_value_2" };
    expect(await secret.diff(id, inputs, news)).toMatchObject({ changes: true, replaces: [] });
    await secret.update(id, inputs, news);
    expect(values()).toEqual([[inputs.name, "hf_canary_value_2"]]);
    expect(account.lines.join()).toContain("running workers keep the old value");
  });

  it("shows a change after a failed update and a refresh, so the next update sends the value again", async () => {
    configureProvider(account.runpod, api);
    setRetryPolicy({ intervalMs: 1, limitMs: 20 });
    const { id } = await secret.create(inputs);
    const news = { ...inputs, value: "hf_canary_value_2" };
    fail("update", 503, { times: 1_000 });
    const failed = await secret.update(id, inputs, news).catch((error: unknown) => error);
    expect(failed).toMatchObject({ id, properties: { name: inputs.name } });
    account.runpod.switches.faults = [];
    const { props } = await secret.read(id, (failed as UnfinishedError).properties);
    expect((await secret.diff(id, props, news)).changes).toBe(true);
    await secret.update(id, props, news);
    expect(values()).toEqual([[inputs.name, "hf_canary_value_2"]]);
  });

  it("shows a change after a create that could not replace the value of the existing secret", async () => {
    configureProvider(account.runpod, api);
    setRetryPolicy({ intervalMs: 1, limitMs: 20 });
    const { id } = await secret.create(inputs);
    const news = { ...inputs, value: "hf_canary_value_2" };
    fail("update", 503, { times: 1_000 });
    const failed = await secret.create(news).catch((error: unknown) => error);
    account.runpod.switches.faults = [];
    const { props } = await secret.read(id, (failed as UnfinishedError).properties);
    expect((await secret.diff(id, props, news)).changes).toBe(true);
  });

  it("is replaced when its name changes, because RunPod's names are immutable", async () => {
    configureProvider(account.runpod, api);
    const diff = await secret.diff("id", inputs, { ...inputs, name: "snack-misaki-dev-other" });
    expect(diff).toMatchObject({ replaces: ["name"], deleteBeforeReplace: false });
  });

  it("keeps its value in the state after a refresh, because RunPod never returns a value", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    expect((await secret.read(id, inputs)).inputs).toEqual(inputs);
    account.runpod.account.secrets.remove(id);
    expect(await secret.read(id, inputs)).toEqual({ id: "" });
  });

  it("is deleted by a destroy even if the response to the first delete is lost", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    fail("remove", "cut", { done: true });
    await secret.delete(id);
    expect(values()).toEqual([]);
    await secret.delete(id);
  });

  it("does not count as missing when RunPod answers null instead of the list", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    fail("list", { nullField: "secrets" }, { times: 2 });
    expect((await secret.read(id, inputs)).id).toBe(id);
  });

  it("does not count as missing when RunPod's list has an entry that cannot be read", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    fail("list", { nullField: "id" }, { times: 1_000 });
    await expect(secret.read(id, inputs)).rejects.toThrow(`it is unknown whether ${id} exists`);
  });

  it("fails a destroy at once when RunPod refuses the delete, because a secret is never in use", async () => {
    configureProvider(account.runpod, api);
    const { id } = await secret.create(inputs);
    fail("remove", { message: "not today" });
    await expect(secret.delete(id)).rejects.toThrow("not today");
  });

  it("does not appear in the error even if RunPod's message quotes the value", async () => {
    configureProvider(account.runpod, api);
    fail("create", { message: `value ${VALUE} is too short` });
    const error = await secret.create(inputs).catch((thrown: Error) => thrown);
    expect(String(error)).toContain("value *** is too short");
  });
});

describe("The inputs of a secret", () => {
  it.each([
    [{ name: "RUNPOD_token" }, /but not with RUNPOD, got "RUNPOD_token"/],
    [{ name: "snack-misaki-dev-hugging face" }, /letters, digits, _ \. - \//],
    [{ name: `snack-misaki-dev-${"x".repeat(190)}` }, /at most 191 characters/],
    [{ name: "other-stack-token" }, /must begin with snack-misaki-dev-, the prefix of this stack/],
    [{ value: "" }, /must not be empty/],
  ])("are rejected when they contain %j", async (bad, reason) => {
    configureProvider(account.runpod, "rest");
    const { failures = [] } = await secret.check({}, { ...inputs, ...bad });
    expect(failures.map((each) => each.reason).join()).toMatch(reason);
  });
});

it("REST v2 changes a secret that GraphQL created, and keeps the id of the secret", async () => {
  configureProvider(account.runpod, "auto");
  const { id } = await secret.create(inputs);
  account.runpod.switches.faults.push(fault("POST /graphql", 410, { times: Number.MAX_SAFE_INTEGER }));
  expect((await secret.diff(id, inputs, inputs)).changes).toBe(false);
  expect((await secret.read(id, inputs)).id).toBe(id);
  await secret.update(id, inputs, { ...inputs, value: "hf_canary_value_2" });
  expect(account.runpod.account.secrets.all).toMatchObject([{ id, value: "hf_canary_value_2" }]);
  await secret.delete(id);
  expect(values()).toEqual([]);
});

it.each(["graphql", "rest"] as const)(
  "registry credentials do not count as missing when RunPod's list has an entry that cannot be read (%s)",
  async (api) => {
    configureProvider(account.runpod, api);
    const auth = { owner: OWNER, name: "snack-misaki-dev-registry", username: "robot", password: "canary" };
    const { id } = await registryAuth.create(auth);
    const list = { graphql: "myself", rest: "GET /v2/registries" }[api];
    account.runpod.switches.faults.push(fault(list, { nullField: "id" }, { times: 1_000 }));
    await expect(registryAuth.read(id, auth)).rejects.toThrow(`it is unknown whether ${id} exists`);
  },
);
