import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSwitches, type Fault } from "../../../local/runpod/account/switches";
import { ACCOUNT_KEY, endpointInput, PHI3_KEY, RunpodFixture, restEndpoint, SAVE_ENDPOINT } from "./fixture";

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
});
afterEach(() => runpod.dispose());

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const health = async (id: string) => (await runpod.json(`${id}/health`)).workers;
const workers = async (id: string) => (await runpod.restJson(`GET /serverless/${id}/workers`)).workers;
const endpoints = async () => (await runpod.restJson("GET /serverless")).endpoints;

describe("A fault", () => {
  const fail = (fault: Partial<Fault> & Pick<Fault, "on" | "answer">) =>
    runpod.double.switches.faults.push({ times: 1, skip: 0, done: false, delayMs: 0, ...fault });
  const save = async (name = "phi3") => {
    const input = { ...endpointInput, name, templateId: await runpod.saveTemplate({ name: `${name}-template` }) };
    return runpod.post({ query: SAVE_ENDPOINT, variables: { input } });
  };

  it("breaks the connection before or after the double executes the call", async () => {
    fail({ on: "saveEndpoint", answer: "cut", done: true });
    await expect(save()).rejects.toThrow();
    expect(await endpoints()).toHaveLength(1);
    expect(runpod.events).toContainEqual(
      "POST /graphql saveEndpoint → fault: cut, although the double executes the call",
    );

    fail({ on: "POST /v2/serverless", answer: "cut" });
    await expect(runpod.rest("POST /serverless", restEndpoint)).rejects.toThrow();
    expect(await endpoints()).toHaveLength(1);
    expect(runpod.double.switches.faults).toEqual([]);
  });

  it("makes the given number of calls fail with an error in the API's format", async () => {
    fail({ on: "saveEndpoint", answer: "again", times: 2 });
    for (const name of ["first", "second"]) {
      const response = await save(name);
      expect([response.status, await response.json()]).toEqual([
        200,
        {
          errors: [
            {
              message: "Something went wrong. Please try again later or contact support.",
              extensions: { code: "INTERNAL_SERVER_ERROR" },
            },
          ],
          data: null,
        },
      ]);
    }
    expect((await (await save("third")).json()).data.saveEndpoint.id).toBeTruthy();

    fail({ on: "GET /v2/serverless*", answer: 429 });
    const limited = await runpod.rest("GET /serverless");
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "1"]);
    fail({ on: "*", answer: 503 });
    expect((await runpod.rest("GET /templates")).status).toBe(503);
    expect((await runpod.rest("GET /templates")).status).toBe(200);
  });

  it("can leave the first calls unchanged and can delay a response", async () => {
    fail({ on: "POST /v2/serverless", answer: 504, done: true, skip: 1 });
    expect((await runpod.rest("POST /serverless", { ...restEndpoint, name: "first" })).status).toBe(201);
    expect((await runpod.rest("POST /serverless", { ...restEndpoint, name: "second" })).status).toBe(504);
    expect((await endpoints()).map(({ name }: { name: string }) => name)).toEqual(["first", "second"]);
    fail({ on: "GET /v2/templates", answer: "pass", delayMs: 50 });
    const tooLate = fetch(`${runpod.double.restUrl}/templates`, { signal: AbortSignal.timeout(10) });
    await expect(tooLate).rejects.toThrow();
  });

  it("makes a call fail with the given message", async () => {
    const answer = { message: "Your template is still warm" };
    fail({ on: "deleteTemplate", answer });
    const remove = 'mutation { deleteTemplate(templateName: "x") }';
    expect(await runpod.refusal(remove)).toBe(answer.message);
    fail({ on: "DELETE /v2/templates/*", answer });
    expect(await runpod.restRefusal("DELETE /templates/x")).toEqual([400, answer.message, []]);
  });

  it("lets a browser read the answer of the job API, but not of other APIs", async () => {
    const { id } = await runpod.deploy();
    const { url } = runpod.double;
    const corsOf = async (path: string, method: string) => {
      const headers = { origin: "http://localhost:5173", authorization: `Bearer ${ACCOUNT_KEY}` };
      const { status, headers: answered } = await fetch(`${url}${path}`, { method, headers });
      return [status, answered.get("access-control-allow-origin")];
    };
    for (const answer of [429, 500, "again" as const]) {
      fail({ on: "POST /v2/*/run", answer });
      expect(await corsOf(`/v2/${id}/run`, "POST")).toEqual([answer === "again" ? 500 : answer, "*"]);
    }
    fail({ on: "GET /v2/*/health", answer: { nullField: "jobs" } });
    expect(await corsOf(`/v2/${id}/health`, "GET")).toEqual([200, "*"]);
    fail({ on: "GET /v2/templates", answer: 500 });
    expect(await corsOf("/v2/templates", "GET")).toEqual([500, null]);
  });

  it("affects only the calls that it names", async () => {
    fail({ on: "deleteEndpoint", answer: 500 });
    expect((await save()).status).toBe(200);
    expect(runpod.double.switches.faults).toHaveLength(1);
  });
});

describe("Workers that cannot start", () => {
  it("are THROTTLED until a GPU pool has capacity", async () => {
    const { switches, tick } = runpod.double;
    switches.noCapacity.push("AMPERE_16");
    const { id } = await runpod.deploy();
    expect(await health(id)).toMatchObject({ throttled: 1, initializing: 0, unhealthy: 0 });
    expect(await workers(id)).toEqual([
      expect.objectContaining({ status: "THROTTLED", gpuTypeId: null, dataCenterId: null, startedAt: null }),
    ]);
    expect(runpod.events).toContainEqual(expect.stringContaining("waits for capacity"));
    switches.noCapacity.pop();
    tick();
    expect(await health(id)).toMatchObject({ throttled: 0, initializing: 1 });
    expect(runpod.workers).toHaveLength(1);
  });

  it("are THROTTLED when noCapacity contains the endpoint's name or all of its data centers", async () => {
    runpod.double.switches.noCapacity.push("EU-RO-1", "phi3");
    const place = (name: string, locations: string) => runpod.deploy({ name, locations, workersMax: 1 }, { name });
    const { id: full } = await place("full", "EU-RO-1");
    const { id: half } = await place("half", "EU-RO-1,EU-SE-1");
    const { id: named } = await place("phi3", "EU-SE-1");
    expect(await health(full)).toMatchObject({ throttled: 1 });
    expect(await health(half)).toMatchObject({ throttled: 0, initializing: 1 });
    expect(await health(named)).toMatchObject({ throttled: 1 });
  });

  it("include idle workers when the capacity ends, and a busy worker after its job", async () => {
    const { switches, tick } = runpod.double;
    const { id } = await runpod.deploy();
    const submit = () => runpod.json(`${id}/run`, { input: { text: "x" } });
    await submit();
    const { worker } = runpod;
    const job = await worker.next();
    switches.noCapacity.push("*");
    tick();
    expect(worker.stopRequested).toBe(false);
    await worker.done(job.id, { output: "done" });
    await expect.poll(() => worker.stopRequested).toBe(true);
    await submit();
    expect(await health(id)).toMatchObject({ idle: 0, running: 0, throttled: 1 });
    switches.noCapacity.pop();
    tick();
    expect(await health(id)).toMatchObject({ throttled: 0, initializing: 1 });
  });

  it("are UNHEALTHY while they crash, and each restart waits longer than the previous restart", async () => {
    const { switches, skip } = runpod.double;
    switches.crashing.push("phi*");
    const { id } = await runpod.deploy();
    expect(await health(id)).toMatchObject({ unhealthy: 1, initializing: 0 });
    for (const seconds of [1, 2, 4]) skip(seconds * 1000);
    const crashes = runpod.events.filter((line) => line.includes("crashed: exit code 1"));
    expect(crashes.map((line) => line.split("again in ")[1])).toEqual(["1 s", "2 s", "4 s", "8 s"]);
    expect(await workers(id)).toEqual([expect.objectContaining({ status: "UNHEALTHY" })]);
    switches.crashing.pop();
    skip(8_000);
    // The process runs, but has not asked for a job yet.
    expect(await health(id)).toMatchObject({ unhealthy: 1 });
    const taking = runpod.worker.take().catch(() => []);
    await vi.waitFor(async () => expect(await health(id)).toMatchObject({ unhealthy: 0, idle: 1 }));
    await runpod.close();
    await taking;
  });

  it("are INITIALIZING during a cold start", async () => {
    runpod.double.switches.coldStartMs = 60_000;
    const { id } = await runpod.deploy();
    expect(await workers(id)).toEqual([expect.objectContaining({ status: "INITIALIZING", startedAt: null })]);
    runpod.double.skip(30_000);
    expect(runpod.workers).toHaveLength(0);
    runpod.double.skip(30_000);
    expect(runpod.workers).toHaveLength(1);
  });
});

describe("Private images", () => {
  const SAVE = "mutation ($input: SaveRegistryAuthInput!) { saveRegistryAuth(input: $input) { id } }";
  const UPDATE = "mutation ($input: UpdateRegistryAuthInput!) { updateRegistryAuth(input: $input) { id } }";
  const credential = async (username: string) =>
    (await runpod.graphql(SAVE, { input: { name: "registry", username, password: "token-1" } })).saveRegistryAuth.id;
  const renew = (id: string, password: string) => runpod.graphql(UPDATE, { input: { id, username: "AWS", password } });
  const isPulled = async (id: string) => {
    runpod.double.tick();
    return (await workers(id)).every(({ startedAt }: { startedAt: string | null }) => startedAt !== null);
  };

  it("can be pulled with a registry credential or with an ECR delegation for their repository", async () => {
    await runpod.close();
    const repository = "123456789012.dkr.ecr.us-east-2.amazonaws.com/snack/phi3";
    await runpod.start({ resolveImage: () => ({ version: "1", private: true }), workersQuota: 10 });
    const make = async (name: string, registry?: string) =>
      (await runpod.restJson("POST /serverless", { ...restEndpoint, name, image: `${repository}:1`, registry })).id;
    const without = await make("without");
    expect(await isPulled(without)).toBe(false);
    expect(runpod.events).toContainEqual(expect.stringContaining("no basic auth credentials"));
    expect(await isPulled(await make("with", await credential("mama")))).toBe(true);
    const resource = "arn:aws:ecr:us-east-2:123456789012:repository/snack/phi3";
    await runpod.restJson("POST /registries/delegations", { resource });
    expect(await isPulled(without)).toBe(true);
  });

  it("cannot be pulled with an ECR token older than 12 hours", async () => {
    const id = await credential("AWS");
    const { id: endpoint } = await runpod.deploy({ workersMax: 2 }, { containerRegistryAuthId: id });
    runpod.double.skip(11 * HOUR_MS);
    await renew(id, "token-2");
    runpod.double.skip(11 * HOUR_MS);
    expect(runpod.double.account.registries.find(id)?.isExpired).toBe(false);
    runpod.double.skip(HOUR_MS);
    expect(runpod.worker.stopRequested).toBe(false);
    const { templateId } = runpod.double.account.endpoint(endpoint) ?? {};
    await runpod.saveTemplate({
      id: templateId,
      containerRegistryAuthId: id,
      imageName: "registry.example/phi3:2.0.0",
    });
    expect(await isPulled(endpoint)).toBe(false);
    expect(runpod.events).toContainEqual(expect.stringContaining("Your authorization token has expired"));
    await renew(id, "token-2");
    expect(await isPulled(endpoint)).toBe(false);
    await renew(id, "token-3");
    expect(await isPulled(endpoint)).toBe(true);
  });

  it("have registry credentials that the account stores without a plain-text password", async () => {
    const id = await credential("AWS");
    expect(JSON.stringify(runpod.double.account.registries.find(id))).not.toContain("token-1");
  });
});

describe("An endpoint without requests", () => {
  const limits = async (id: string) => (await runpod.restJson(`GET /serverless/${id}`)).workers;

  it("is limited to 2 workers after 3 days and to 0 workers after 7 days", async () => {
    const { id, templateId } = await runpod.deploy({ workersMax: 4, workersMin: 3 });
    runpod.double.skip(3 * DAY_MS - HOUR_MS);
    expect(await limits(id)).toMatchObject({ min: 3, max: 4 });
    runpod.double.skip(HOUR_MS);
    expect(await limits(id)).toMatchObject({ min: 2, max: 2 });
    runpod.double.skip(4 * DAY_MS);
    expect(await limits(id)).toMatchObject({ min: 0, max: 0 });
    expect(await workers(id)).toEqual([]);
    // The job waits until the limit is raised.
    const { id: job } = await runpod.json(`${id}/run`, { input: { text: "x" } });
    runpod.double.tick();
    expect(await runpod.json(`${id}/status/${job}`)).toMatchObject({ status: "IN_QUEUE" });
    await runpod.saveEndpoint({ id, templateId, workersMax: 1 });
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("counts the days from its newest request", async () => {
    const { id } = await runpod.deploy({ workersMax: 3 });
    runpod.double.skip(2 * DAY_MS);
    await runpod.json(`${id}/run`, { input: { text: "x" } });
    runpod.double.skip(2 * DAY_MS);
    expect(await limits(id)).toMatchObject({ max: 3 });
    runpod.double.skip(DAY_MS);
    expect(await limits(id)).toMatchObject({ max: 2 });
  });
});

describe("The /admin API", () => {
  const admin = async (call: string, body?: unknown, key = ACCOUNT_KEY) => {
    const [method = "", path = ""] = call.split(" ");
    const response = await fetch(`${runpod.double.url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };

  it("changes only the given switches, with immediate effect", async () => {
    expect(await admin("GET /switches")).toEqual({ status: 200, body: createSwitches() });
    const { body } = await admin("PATCH /switches", { noCapacity: ["*"] });
    expect(body).toEqual({ ...createSwitches(), noCapacity: ["*"] });
    const { id } = await runpod.deploy();
    expect(await health(id)).toMatchObject({ throttled: 1 });
    await admin("PATCH /switches", { noCapacity: [] });
    expect(runpod.workers).toHaveLength(1);
  });

  it("adds faults, skips time and expires credentials", async () => {
    await admin("POST /faults", { on: "GET /v2/templates", answer: 500 });
    expect((await runpod.rest("GET /templates")).status).toBe(500);
    const { id } = await runpod.restJson("POST /registries", { name: "ecr", username: "AWS", password: "token-1" });
    expect((await admin(`POST /registries/${id}/expire`)).status).toBe(200);
    expect(runpod.double.account.registries.find(id)?.isExpired).toBe(true);
    expect((await admin("POST /registries/unknown/expire")).status).toBe(404);
    const { id: endpoint } = await runpod.deploy({ workersMax: 4 });
    expect((await admin("POST /time", { hours: 72 })).body).toEqual({ skippedHours: 72 });
    expect(runpod.double.account.endpoint(endpoint)?.workersMax).toBe(2);
  });

  it("refuses a restricted key and names an invalid field in the error", async () => {
    expect((await admin("GET /switches", undefined, PHI3_KEY)).status).toBe(401);
    const { status, body } = await admin("PATCH /switches", { weather: "bad" });
    expect([status, body.detail]).toEqual([400, expect.stringContaining("weather")]);
    expect((await admin("POST /faults", { on: "x", answer: 200 })).status).toBe(400);
    expect((await admin("POST /time", { hours: -1 })).status).toBe(400);
  });
});
