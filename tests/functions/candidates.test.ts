import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createCandidateStore, createCandidates } from "../../functions/lib/candidates";
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
/** Versions of the parameter at the last read and after the next write. */
let version: number;

beforeAll(async () => {
  const get = () => {
    reads += 1;
    return value === undefined ? undefined : { id: "/mistral", outputs: { type: "String", value, version } };
  };
  const put = ({ outputs }: { outputs: { value: string; version: number } }) => ({ value, version } = outputs);
  ssm = await startSsm({ get, put, list: () => [], arn: () => "arn" } as unknown as AwsAccount, new Events());
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  vi.stubEnv("AWS_REGION", "ap-northeast-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "x");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "x");
  vi.spyOn(console, "error").mockImplementation(() => {});
});
beforeEach(() => {
  reads = 0;
  version = 1;
  vi.mocked(console.error).mockClear();
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

  it("stays the last known one when its parameter is not valid, with an alarm", async () => {
    const find = createCandidates(settings);
    value = JSON.stringify(candidate);
    await find("mistral");
    value = JSON.stringify({ ...candidate, share: 500 });
    later();
    expect(await find("mistral")).toEqual(candidate);
    expect(console.error).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ alarm: "candidate_unreadable", model: "mistral" }),
    );
  });
});

describe("A change of a candidate", () => {
  const store = createCandidateStore(settings);
  const raise = (stored: typeof candidate) => ({ ...stored, share: 25 });

  it("replaces the parameter, and leaves it alone when nothing changes", async () => {
    value = JSON.stringify(candidate);
    expect(await store.change("mistral", () => undefined)).toEqual(candidate);
    expect(version).toBe(1);
    expect(await store.change("mistral", raise)).toMatchObject({ share: 25 });
    expect(JSON.parse(value)).toMatchObject({ image: "2026-12-01", share: 25 });
  });

  it("creates no parameter when the candidate does not exist", async () => {
    value = undefined;
    expect(await store.change("mistral", raise)).toBeUndefined();
    expect(value).toBeUndefined();
  });

  it("reports a change of another function at the same time", async () => {
    value = JSON.stringify(candidate);
    const change = (stored: typeof candidate) => {
      version += 1;
      return raise(stored);
    };
    await expect(store.change("mistral", change)).rejects.toMatchObject({ code: "conflict" });
  });

  it("is refused when the parameter is not valid", async () => {
    value = "{";
    await expect(store.change("mistral", raise)).rejects.toMatchObject({ code: "unavailable" });
  });
});
