import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SessionResponse } from "../../contract/session";
import { certificate } from "../../local/aws/domains/certificates";
import { distribution } from "../../local/aws/domains/distribution";
import { record } from "../../local/aws/domains/records";
import { api } from "../../local/aws/httpApi/resources";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { engineOptions } from "../../local/cloud/program";
import { preview, type StepEvent, up } from "../../local/pulumi/engine";
import { configKey } from "../../names";

// The tests share one stack: first without host names, then with them, then without them again.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-domains-"));
const names = { api: "api.snack.example", signIn: "auth.snack.example", relay: "relay.snack.example" };
const domains = { zone: "Z0123456789ABC", ...names };
const own = { domains, "auth.domainUrl": undefined };
const without = { "auth.domainUrl": undefined };

interface Outputs {
  apiUrl: string;
  relayUrl: string;
  webhookUrl: string;
  signIn: { url: string; issuer: string };
}

let cloud: LocalCloud;
let before: Outputs;
const options = (overrides: Record<string, unknown>) => engineOptions(cloud, programDir, dir, overrides);
const bringUp = async (overrides: Record<string, unknown>) => {
  const { outputs, steps } = await up(options(overrides));
  return { outputs: outputs as unknown as Outputs, steps };
};

beforeAll(async () => {
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, withoutPython: true });
  before = (await bringUp(without)).outputs;
});
afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Sends a request to the API's port for a host, which ends with localhost on this machine. */
async function send(method: string, path: string, host: string, headers: Record<string, string> = {}) {
  const { port } = new URL(before.apiUrl);
  const sent = request({ port, host: "127.0.0.1", method, path, headers: { host: `${host}:${port}`, ...headers } });
  sent.end();
  const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    sent.on("response", resolve).on("error", reject);
  });
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

const changesOf = (steps: StepEvent[]) =>
  Object.fromEntries(Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, list]) => [op, list]));

describe("A stack without domains", () => {
  it("has no certificate, no record and no distribution, and serves the API at its own endpoint", async () => {
    for (const type of [certificate, record, distribution]) expect(cloud.aws.account.list(type.type)).toEqual([]);
    expect(cloud.aws.account.list(api.type)[0]?.inputs).not.toHaveProperty("disableExecuteApiEndpoint");
    expect((await send("POST", "/auth/guest", "localhost")).status).toBe(200);
  });

  it("gets them without the replacement or the deletion of a resource", async () => {
    const { steps } = await preview(options(own));
    const { replace = [], delete: deleted = [], create = [], update = [] } = changesOf(steps);
    expect([...replace, ...deleted]).toEqual([]);
    const created = create.map(({ type, name }) => `${type.split(":").at(-1)} ${name}`).toSorted();
    expect(created).toEqual([
      "ApiMapping api",
      "Certificate api",
      "Certificate identity-own",
      "Certificate relay",
      "CertificateValidation api",
      "CertificateValidation identity-own",
      "CertificateValidation relay",
      "Distribution relay",
      "DomainName api",
      "Record api-a",
      "Record api-aaaa",
      "Record api-validation",
      "Record identity-own-a",
      "Record identity-own-validation",
      "Record relay-a",
      "Record relay-aaaa",
      "Record relay-validation",
      "UserPoolDomain identity-own",
    ]);
    expect(update.map(({ name }) => name)).toEqual(expect.arrayContaining(["api", "session", "guest"]));
  });
});

describe("A stack with domains", () => {
  let outputs: Outputs;
  beforeAll(async () => {
    ({ outputs } = await bringUp(own));
  });

  it("has the host names in its outputs, and the same issuer of tokens as before", () => {
    expect(outputs).toMatchObject({
      apiUrl: "https://api.snack.example",
      relayUrl: "https://relay.snack.example",
      webhookUrl: "https://api.snack.example/webhook/stripe",
      signIn: { url: "https://auth.snack.example", issuer: before.signIn.issuer },
    });
  });

  it("serves the API at its host name with CORS, and answers 404 at the default endpoint", async () => {
    const origin = cloud.pageUrl;
    const served = await send("POST", "/auth/guest", `${names.api}.localhost`, { origin });
    expect([served.status, served.headers["access-control-allow-origin"]]).toEqual([200, origin]);
    const preflight = { origin, "access-control-request-method": "POST" };
    expect((await send("OPTIONS", "/auth/guest", `${names.api}.localhost`, preflight)).status).toBe(204);
    for (const [method, headers] of [["POST", {}] as const, ["OPTIONS", preflight] as const]) {
      expect((await send(method, "/auth/guest", "localhost", headers)).status).toBe(404);
    }
  });

  it("has the relay's host name in each session", async () => {
    const session = JSON.parse((await send("POST", "/auth/guest", `${names.api}.localhost`)).body) as SessionResponse;
    expect(session.inference).toMatchObject({ kind: "relay", url: "https://relay.snack.example" });
  });

  it("registers the API's host name at Stripe", async () => {
    const stripe = cloud.config().values[configKey("stripeApiUrl")];
    const headers = { authorization: "Bearer rk_test_local_webhooks" };
    const response = await fetch(`${stripe}/v1/webhook_endpoints`, { headers });
    const { data } = (await response.json()) as { data: { url: string }[] };
    expect(data.map(({ url }) => url)).toEqual([outputs.webhookUrl]);
  });

  it("has certificates: the API's in the stack's Region, the others in us-east-1", () => {
    const certificates = cloud.aws.account.list(certificate.type);
    expect(certificates.map(({ id, outputs }) => [outputs.domainName, id.split(":")[3]])).toEqual(
      expect.arrayContaining([
        [names.api, "ap-northeast-1"],
        [names.signIn, "us-east-1"],
        [names.relay, "us-east-1"],
      ]),
    );
  });

  it("streams the relay through CloudFront without cache and compression, for every method and header but Host", () => {
    const [found] = cloud.aws.account.list(distribution.type);
    expect(found?.inputs).toMatchObject({
      aliases: [names.relay],
      defaultCacheBehavior: {
        cachePolicyId: "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        originRequestPolicyId: "b689b0a8-53d0-40ab-baf2-68738e2966ac",
        compress: false,
      },
    });
  });

  it("has no change in the next preview", async () => {
    const { steps } = await preview(options(own));
    expect(steps.filter(({ op }) => op !== "same" && op !== "read")).toEqual([]);
  });

  it("serves the API at its own endpoint again when the host names are removed", async () => {
    const after = (await bringUp(without)).outputs;
    expect(after.apiUrl).toBe(before.apiUrl);
    expect((await send("POST", "/auth/guest", "localhost")).status).toBe(200);
    for (const type of [certificate, record, distribution]) expect(cloud.aws.account.list(type.type)).toEqual([]);
  });
});
