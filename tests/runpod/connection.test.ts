import type { dynamic } from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { configure, connection } from "../../runpod/connection";

function request(config: Record<string, string>): dynamic.ConfigureRequest {
  return { config: { get: (key) => config[key], require: (key) => config[key] ?? "" } };
}

describe("Configuration of the RunPod provider", () => {
  it("has a default for every setting except the API key", () => {
    configure(request({ runpodApiKey: "rpa_1" }));
    expect(connection()).toMatchObject({
      settle: { intervalMs: 500, limitMs: 8_000 },
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
    [{ runpodApi: "soap" }, 'runpodApi: must be auto or graphql or rest, got "soap"'],
    [
      { runpodRolloutLimitMs: "-1" },
      "runpodRolloutLimitMs: must be a whole number of milliseconds, at least 0, got -1",
    ],
    [{ runpodWorkerQuota: "0" }, "runpodWorkerQuota: must be a whole number of workers, at least 1, got 0"],
  ])("rejects the invalid setting %j", (bad, message) => {
    expect(() => configure(request({ runpodApiKey: "rpa_1", ...bad }))).toThrow(message);
  });
});
