import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { dynamic } from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { apis } from "../../runpod/apis";
import { configure, connection } from "../../runpod/connection";

function request(config: Record<string, string>): dynamic.ConfigureRequest {
  return { config: { get: (key) => config[key], require: (key) => config[key] ?? "" } };
}

describe("Configuration of the RunPod provider", () => {
  it("has defaults for everything but the API key", () => {
    configure(request({ runpodApiKey: "rpa_1" }));
    expect(connection()).toMatchObject({
      api: "graphql",
      inUse: { intervalMs: 10_000, limitMs: 300_000 },
      rollout: { intervalMs: 5_000, limitMs: 900_000 },
      imageLookupMs: 5_000,
    });
  });

  it.each([
    [{ runpodApiKey: "" }, "runpodApiKey: is missing; set it with: pulumi config set --secret runpodApiKey"],
    [{ runpodApiUrl: "runpod" }, 'runpodApiUrl: must be an https URL; http is allowed only on localhost, got "runpod"'],
    [
      { runpodInUseLimitMs: "5 min" },
      'runpodInUseLimitMs: must be a whole number of milliseconds, at least 1, got "5 min"',
    ],
    [
      { runpodInUseIntervalMs: "0" },
      "runpodInUseIntervalMs: must be a whole number of milliseconds, at least 1, got 0",
    ],
    [{ runpodApi: "soap" }, 'runpodApi: must be graphql or rest, got "soap"'],
    [
      { runpodRolloutLimitMs: "-1" },
      "runpodRolloutLimitMs: must be a whole number of milliseconds, at least 0, got -1",
    ],
    [{ runpodWorkerQuota: "0" }, "runpodWorkerQuota: must be a whole number of workers, at least 1, got 0"],
  ])("rejects %j", (bad, message) => {
    expect(() => configure(request({ runpodApiKey: "rpa_1", ...bad }))).toThrow(message);
  });
});

describe.each(Object.entries(apis))("a call through %s", (_api, connect) => {
  const settings = {
    name: "snack-phi3",
    imageName: "phi3:1",
    env: { TOKEN: "canary" },
    containerDiskInGb: 5,
    dockerArgs: "",
  };

  it("that nobody answers ends after its time, without telling what was sent", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    try {
      const call = connect({ apiKey: "rpa_1", url, timeoutMs: 50 }).saveTemplate(settings);
      await expect(call).rejects.toThrow(/^RunPod did not answer (save|create)Template: no answer within 0.05 s$/);
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  it("follows no redirect: what it sends is for RunPod alone", async () => {
    let reached = 0;
    const server = createServer((request, response) => {
      if (request.url === "/elsewhere") reached += 1;
      response.writeHead(307, { location: "/elsewhere" }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await expect(connect({ apiKey: "rpa_1", url }).saveTemplate(settings)).rejects.toThrow(/^RunPod did not answer /);
      expect(reached).toBe(0);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("to where nobody listens says so", async () => {
    const call = connect({ apiKey: "rpa_1", url: "http://127.0.0.1:9" }).saveTemplate(settings);
    await expect(call).rejects.toThrow(/^RunPod did not answer (save|create)Template: /);
  });
});
