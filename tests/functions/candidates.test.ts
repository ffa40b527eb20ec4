import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createCandidates } from "../../functions/lib/candidates";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import type { Listening } from "../../local/support/http";

const settings = { candidatesPath: "/candidates" };
const url = "https://api.runpod.ai/v2/ep2";
const candidate = { image: "2026-12-01", url, share: 5, testers: ["user-1"], isReady: true };
let ssm: Listening;
/** Value of the parameter. Undefined when it does not exist. */
let value: string | undefined;
let reads: number;

beforeAll(async () => {
  const get = () => {
    reads += 1;
    return value === undefined ? undefined : { id: "/mistral", outputs: { type: "String", value, version: 1 } };
  };
  ssm = await startSsm({ get, list: () => [], arn: () => "arn" } as unknown as AwsAccount, new Events());
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  vi.stubEnv("AWS_REGION", "ap-northeast-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "x");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "x");
  vi.spyOn(console, "error").mockImplementation(() => {});
});
beforeEach(() => {
  reads = 0;
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterAll(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await ssm.close();
});

const later = () => vi.setSystemTime(Date.now() + 10_001);

describe("A model's candidate", () => {
  it("is read from its parameter, and a new share takes effect after ten seconds", async () => {
    const find = createCandidates(settings);
    value = JSON.stringify(candidate);
    expect(await find("mistral")).toEqual(candidate);
    value = JSON.stringify({ ...candidate, share: 25 });
    expect((await find("mistral"))?.share).toBe(5);
    later();
    expect((await find("mistral"))?.share).toBe(25);
  });

  it("is undefined when its parameter does not exist, without a read for each chat", async () => {
    const find = createCandidates(settings);
    value = undefined;
    expect(await find("mistral")).toBeUndefined();
    const before = reads;
    expect(await find("mistral")).toBeUndefined();
    expect(reads).toBe(before);
  });

  it("stays the last known one when its parameter is not valid", async () => {
    const find = createCandidates(settings);
    value = JSON.stringify(candidate);
    await find("mistral");
    value = JSON.stringify({ ...candidate, share: 500 });
    later();
    expect(await find("mistral")).toEqual(candidate);
  });
});
