import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createCandidateStore, createCandidates } from "../../functions/lib/candidates";
import { JsonProtocolError } from "../../local/aws/jsonProtocol";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import type { Listening } from "../../local/support/http";

const settings = { candidatesPath: "/candidates" };
const url = "https://api.runpod.ai/v2/ep2";
const candidate = { image: "2026-12-01", url, share: 5, testers: ["user-1"], isReady: true };
const aborted = { share: 0, isAborted: true, replaces: 5, by: "operator", reason: "x", at: "2026-12-01T00:00:00.000Z" };
let ssm: Listening;
/** Value of the parameter. Undefined when it does not exist. */
let value: string | undefined;
let reads: number;
/** Whether Parameter Store fails. */
let isBroken: boolean;
/** Versions of the parameter at the last read and after the next write. */
let version: number;

beforeAll(async () => {
  const get = () => {
    reads += 1;
    if (isBroken) throw new JsonProtocolError("ThrottlingException", "Rate exceeded");
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
  isBroken = false;
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

  it("stays the last known one for at most 60 s when its parameter cannot be read", async () => {
    const find = createCandidates(settings);
    value = JSON.stringify(candidate);
    await find("mistral");
    isBroken = true;
    later();
    expect(await find("mistral")).toEqual(candidate);
    vi.setSystemTime(Date.now() + 49_000);
    expect(await find("mistral")).toEqual(candidate);
    later();
    expect(await find("mistral")).toBeUndefined();
    isBroken = false;
    later();
    expect(await find("mistral")).toEqual(candidate);
  });

  it("is undefined after one attempt when its parameter was never read", async () => {
    isBroken = true;
    expect(await createCandidates(settings)("mistral")).toBeUndefined();
    expect(reads).toBe(1);
  });

  it.each([
    ["a share above 100", JSON.stringify({ ...candidate, share: 500 })],
    ["no JSON", "{"],
    ["a URL without an endpoint id", JSON.stringify({ ...candidate, url: "https://api.runpod.ai/v2/a?b" })],
    ["an override without a time", JSON.stringify({ ...candidate, override: { ...aborted, at: "yesterday" } })],
  ])("is undefined at once when its parameter has %s, and an alarm is raised", async (_name, bad) => {
    const find = createCandidates(settings);
    value = JSON.stringify(candidate);
    await find("mistral");
    value = bad;
    later();
    expect(await find("mistral")).toBeUndefined();
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
    expect(JSON.parse(value)).toEqual(raise(candidate));
  });

  it("writes the fail-safe candidate after a change of another function at the same time", async () => {
    value = JSON.stringify(candidate);
    const change = (stored: typeof candidate) => {
      version += 1;
      return raise(stored);
    };
    const failSafe = (changed: typeof candidate) => ({ ...changed, share: 0 });
    await expect(store.change("mistral", change, failSafe)).rejects.toMatchObject({ code: "conflict" });
    expect(JSON.parse(value)).toEqual({ ...candidate, share: 0 });
  });

  it("is refused when the parameter is not valid", async () => {
    value = "{";
    await expect(store.change("mistral", raise)).rejects.toMatchObject({ code: "unavailable" });
  });
});
