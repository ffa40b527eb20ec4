import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { create } from "../../functions/registryRefresh";
import { startEcrApi } from "../../local/aws/ecr/api";
import { startSsm } from "../../local/aws/ssm";
import { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import { type Listening, serve } from "../../local/support/http";
import { type FakeGraphql, startFakeGraphql } from "../runpod/fakeGraphql";

const PARAMETER = "/snack-misaki/test/runpod-api-key";
const EXPIRY = "/snack-misaki/test/registry-token-expiry";
const dir = mkdtempSync(join(tmpdir(), "snack-registry-"));
const account = new AwsAccount(join(dir, "account.db"), "us-east-1");
let runpod: FakeGraphql;
let services: Listening[];

beforeAll(async () => {
  const events = new Events();
  runpod = await startFakeGraphql();
  services = await Promise.all([startSsm(account, events), startEcrApi(account, events)]);
  const [ssm, ecr] = services;
  Object.assign(process.env, {
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "x",
    AWS_SECRET_ACCESS_KEY: "x",
    AWS_ENDPOINT_URL_SSM: ssm?.url,
    AWS_ENDPOINT_URL_ECR: ecr?.url,
  });
  const outputs = { type: "SecureString", value: runpod.apiKey, version: 1 };
  account.put({ type: "aws:ssm/parameter:Parameter", id: PARAMETER, inputs: {}, outputs });
});
beforeEach(() => {
  runpod.reset();
  const outputs = { type: "String", value: "yesterday", version: 1 };
  account.put({ type: "aws:ssm/parameter:Parameter", id: EXPIRY, inputs: {}, outputs });
});
afterAll(async () => {
  for (const service of services) await service.close();
  await runpod.close();
  rmSync(dir, { recursive: true });
});

/** Registry credentials created by the provider. */
function credentials() {
  const { name, ...rest } = { name: "snack-misaki-test-registry", username: "AWS", password: "token of yesterday" };
  runpod.registryAuths.set("reg1", { id: "reg1", name, ...rest });
}

const refresh = (registryAuthId = "reg1") =>
  create({
    runpodApi: "graphql",
    runpodApiUrl: runpod.url,
    runpodKeyParameter: PARAMETER,
    registryAuthId,
    expiryParameter: EXPIRY,
  })();
const expiry = () => account.get("aws:ssm/parameter:Parameter", EXPIRY)?.outputs.value;

describe("registryRefresh", () => {
  it("stores a new ECR token at RunPod under the same id", async () => {
    credentials();
    const { expiresAt } = await refresh();
    const [seen, ...others] = runpod.snapshot().registryAuths;
    expect(others).toEqual([]);
    expect(seen).toMatchObject({ id: "reg1", name: "snack-misaki-test-registry", username: "AWS" });
    expect(seen?.password).toMatch(/^[\w+/=]{100,}$/);
    expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(11 * 3_600_000);
    expect(expiry()).toBe(expiresAt);
    const first = seen?.password;
    await refresh();
    expect(runpod.snapshot().registryAuths[0]?.password).not.toBe(first);
  });

  it("retries after a transient RunPod error", async () => {
    credentials();
    runpod.failNext("updateRegistryAuth", { status: 502 });
    await refresh();
    expect(runpod.count("updateRegistryAuth")).toBe(2);
  });

  it("retries an AWS call that AWS still denies to a new role", async () => {
    credentials();
    const denied = new Set(["AmazonSSM.GetParameters", "AmazonSSM.PutParameter"]);
    const ssmUrl = String(process.env.AWS_ENDPOINT_URL_SSM);
    const strict = await serve("an SSM that denies each call once", 0, async (request) => {
      const target = request.headers.get("x-amz-target") ?? "";
      const body = await request.text();
      if (denied.delete(target)) return Response.json({ __type: "AccessDeniedException" }, { status: 400 });
      const headers = { "x-amz-target": target, "content-type": "application/x-amz-json-1.1" };
      return fetch(ssmUrl, { method: "POST", headers, body });
    });
    process.env.AWS_ENDPOINT_URL_SSM = strict.url;
    try {
      const { expiresAt } = await refresh();
      expect(expiry()).toBe(expiresAt);
      expect(denied.size).toBe(0);
    } finally {
      process.env.AWS_ENDPOINT_URL_SSM = ssmUrl;
      await strict.close();
    }
  }, 30_000);

  it("throws and keeps the stored expiry when RunPod does not have the credentials", async () => {
    await expect(refresh("gone")).rejects.toThrow("RunPod refused updateRegistryAuth: Registry auth not found.");
    expect(expiry()).toBe("yesterday");
  });
});
