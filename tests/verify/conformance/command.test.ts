import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readFixtures } from "../../../contract/fixtures";
import { models, planModels } from "../../../contract/plan";
import type { SessionResponse } from "../../../contract/session";
import type { ContractResult } from "../../../verify/conformance/conformance";
import { Endpoints, limits } from "../../contract/endpoints";
import { needsPython, workerPython } from "../../workerPython";

async function contract(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ["cli/run.cjs", "verify/conformance/conformance.ts", ...args], {
    env: { PATH: process.env.PATH ?? "", NO_COLOR: "1", ...env },
  });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { out, err, code };
}

const skippedFixtures = ({ results }: ContractResult) =>
  results.filter(({ result }) => result === "skipped").map(({ fixture }) => fixture);

describe("npm run contract with the Python worker", needsPython, () => {
  let endpoints: Endpoints;
  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
  });
  afterAll(() => endpoints.close());

  it("sends the fixtures with an API key and a ticket, and does not print these secrets", async () => {
    const ticket = await endpoints.ticket("phi3");
    const url = endpoints.url("phi3");
    const { out, err, code } = await contract(["--url", url, "--json"], {
      RUNPOD_API_KEY: endpoints.apiKey,
      TICKET: ticket,
    });
    expect([err, code]).toEqual(["", 0]);
    const result: ContractResult = JSON.parse(out);
    expect(result).toMatchObject({ passed: readFixtures().length - 8, failed: 0, skipped: 8 });
    const special = /ticket-(expired|wrong-model|own-endpoint|other-endpoint)$/;
    expect(skippedFixtures(result).every((name) => special.test(name))).toBe(true);
    expect(result.results[0]).toMatchObject({ endpoint: url, version: "v1", fixture: "native/conversation" });
    for (const secret of [endpoints.apiKey, ticket]) expect(out).not.toContain(secret);
  });

  it("exits with 1 and prints the incompatibilities when the ticket is for a different model", async () => {
    const { out, code } = await contract(["--url", endpoints.url("mistral")], {
      RUNPOD_API_KEY: endpoints.apiKey,
      TICKET: await endpoints.ticket("phi3"),
    });
    expect(code).toBe(1);
    expect(out).toMatch(/v1\/native\/text +│ http\S+ +│ failed/);
    expect(out).toMatch(/native\/text: unexpected error: .*ticket_wrong_model/);
    expect(out).toMatch(/\d+ passed, \d+ failed, 8 skipped/);
  });

  it("gets the endpoint and the ticket from the auth API when called with --api", async () => {
    const session = async (): Promise<SessionResponse> => ({
      user_id: "guest:1",
      plan: "free",
      model: planModels.free,
      inference: { url: endpoints.url(planModels.free), authorization: endpoints.authorization },
      ticket: await endpoints.ticket(planModels.free),
      ticket_expires_at: new Date(Date.now() + 120_000).toISOString(),
      limits,
    });
    const requests: string[] = [];
    const api = createServer(async (request, response) => {
      requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? "(no token)"}`);
      response.setHeader("content-type", "application/json").end(JSON.stringify(await session()));
    });
    await once(api.listen(0), "listening");
    try {
      const apiUrl = `http://localhost:${(api.address() as AddressInfo).port}`;
      const guest = await contract(["--api", apiUrl, "--json"]);
      expect([guest.err, guest.code, JSON.parse(guest.out).failed]).toEqual(["", 0, 0]);
      const customer = await contract(["--api", apiUrl, "--json"], { ID_TOKEN: "id-token" });
      expect(customer.code).toBe(0);
      // One ticket is not enough for all fixtures. A guest renews the session with the previous ticket.
      expect([...new Set(requests.map((request) => request.replace(/eyJ\S+/, "<ticket>")))]).toEqual([
        "POST /auth/guest (no token)",
        "POST /auth/guest Bearer <ticket>",
        "POST /auth/session Bearer id-token",
      ]);
    } finally {
      api.close();
    }
  });

  it("checks the endpoints of all models of a local cloud when called without options", async () => {
    const { out, err, code } = await contract(["--engine", "scripted", "--json"]);
    expect([err, code]).toEqual(["", 0]);
    const result: ContractResult = JSON.parse(out);
    expect(result).toMatchObject({ passed: models.length * readFixtures().length, failed: 0, skipped: 0 });
    expect(new Set(result.results.map(({ endpoint }) => endpoint))).toEqual(new Set(models));
  });

  it("prints the URL and the reason when the endpoint cannot be reached", async () => {
    const closed = createServer();
    await once(closed.listen(0), "listening");
    const { port } = closed.address() as AddressInfo;
    await once(closed.close(), "close");
    const { err, code } = await contract(["--url", `http://localhost:${port}/v2/x`], {
      RUNPOD_API_KEY: "key",
      TICKET: await endpoints.ticket("phi3"),
    });
    expect([err, code]).toEqual([`http://localhost:${port}/v2/x cannot be reached: ECONNREFUSED\n`, 1]);
  });

  it("removes its temporary folder after Ctrl-C", async () => {
    const folder = mkdtempSync(join(tmpdir(), "snack-contract-"));
    try {
      const child = spawn(
        process.execPath,
        ["cli/run.cjs", "verify/conformance/conformance.ts", "--engine", "scripted"],
        {
          env: { PATH: process.env.PATH ?? "", TMPDIR: folder },
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      let output = "";
      child.stdout.on("data", (data) => {
        output += data;
      });
      await vi.waitUntil(() => output.includes("waiting for a worker"), 60_000);
      expect(readdirSync(folder)).not.toEqual([]);
      child.kill("SIGINT");
      await once(child, "exit");
      expect(readdirSync(folder)).toEqual([]);
      expect(child.exitCode).toBe(130);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("npm run contract", () => {
  it.each([
    [["--url", "http://localhost:1"], "RUNPOD_API_KEY is not set: --url needs a key that may call the endpoint"],
    [["--url", "localhost"], "Allowed: an http or https URL."],
    [["--limit", "0"], "Allowed: a whole number from 1 to 99999."],
    [["--api", "http://localhost:1", "--engine", "llama"], "--engine is only for the local cloud"],
  ])("rejects %j with a one-line error", async (args, problem) => {
    const { out, err, code } = await contract(args);
    expect([out, code]).toEqual(["", 1]);
    expect(err).toContain(problem);
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  it("rejects --url without a ticket", async () => {
    const { err } = await contract(["--url", "http://localhost:1"], { RUNPOD_API_KEY: "key" });
    expect(err).toBe("TICKET is not set: --url needs a ticket, or --api to request a ticket\n");
  });

  it("rejects an invalid TICKET before it sends a request", async () => {
    const { out, err, code } = await contract(["--url", "http://localhost:1"], {
      RUNPOD_API_KEY: "key",
      TICKET: "abc",
    });
    expect([out, err, code]).toEqual([
      "",
      "TICKET is not a ticket: set it to the unchanged `ticket` of a session\n",
      1,
    ]);
  });
});
