import { describe, expect, it } from "vitest";
import { models } from "../../../contract/plan";
import { alarmCodes } from "../../../functions/core/alarmCodes";
import { billedMetrics } from "../../../functions/core/metrics";
import { parsePlainConfig } from "../../../infra/configSchema";
import type { ResourceState } from "../../../local/pulumi/engine";
import { readStackConfig } from "../../../local/support/stackConfig";
import { configKey } from "../../../names";
import { type BillArgs, billOf, capacityNotes } from "../../../ops/cost/bill";
import { total } from "../../../ops/cost/estimate";
import { runpodPrices } from "../../../ops/cost/prices/runpod";
import { countResources, type ProgramFacts } from "../../../ops/cost/resources";
import { settingsThatMatter } from "../../../ops/cost/settings";
import { DAYS, SECONDS } from "../../../ops/cost/traffic";

const program: ProgramFacts = {
  functions: [
    { name: "relay", memoryGb: 1, timeoutSeconds: 300, runs: undefined },
    { name: "session", memoryGb: 0.5, timeoutSeconds: 10, runs: undefined },
    { name: "poller", memoryGb: 0.5, timeoutSeconds: 50, runs: 43_200 },
  ],
  routes: { all: 7, ownLimits: 2 },
  tables: 2,
  backedUpTables: 1,
  alarms: 50,
  compositeAlarms: 1,
  dashboards: 1,
  logRetentionDays: 30,
  logGroups: 4,
  secrets: 2,
  alarmEmails: 1,
  distributions: 0,
  repositories: ["phi3", "mistral"],
};

const llm = (input: number) => ({
  model: "model-1",
  usdPerMillionTokens: { input, cachedInput: input, output: input },
});

/** Arguments of a bill: a stack's file with overrides, and the facts of the program above. */
function args(stack: string, overrides: Record<string, unknown> = {}): BillArgs {
  const { values } = readStackConfig(process.cwd(), stack, overrides);
  const { config, problems } = parsePlainConfig((key) => values[configKey(key)]);
  if (!config) throw new Error(problems?.join("\n"));
  return { config: { ...config, stack }, program, gpuPrices: runpodPrices };
}

function line(of: BillArgs, item: string) {
  const found = billOf(of).find((each) => each.item === item);
  if (!found) throw new Error(`The bill has no line ${item}`);
  return found.usd;
}

describe("A month's bill", () => {
  it.each(["dev", "staging", "prod"])("of %s has every expected cost between the low and the worst cost", (stack) => {
    const vip = { providers: ["anthropic", "openai"], dailyUsd: 20, anthropic: llm(2), openai: llm(1) };
    for (const chats of [0, 1, 100, 100_000]) {
      const lines = billOf(args(stack, { vip, "operations.expectedChatsPerDay": chats }));
      for (const { item, usd } of lines) {
        expect(usd.low, `${item} with ${chats} chats`).toBeLessThanOrEqual(usd.expected);
        expect(usd.expected, `${item} with ${chats} chats`).toBeLessThanOrEqual(usd.worst);
      }
    }
  });

  it("charges all workers all month at the price of the most expensive pool in the worst case", () => {
    const { worst } = line(args("dev", { "phi3.workersMax": 3 }), "workers of phi3");
    expect(worst).toBeCloseTo(3 * SECONDS * 0.00031, 2);
  });

  it("charges workers that always run even without chats", () => {
    const quiet = args("staging", { "phi3.workersMin": 1, "operations.expectedChatsPerDay": 0 });
    expect(line(quiet, "workers of phi3").low).toBeCloseTo(SECONDS * 0.00019, 2);
  });

  it("charges one worker start every 48 hours for the keep-alive job when there are no chats", () => {
    const { low, expected } = line(args("staging", { "operations.expectedChatsPerDay": 0 }), "workers of phi3");
    expect([low, expected]).toEqual([expect.closeTo(15 * 120 * 0.00019, 5), expect.closeTo(15 * 120 * 0.00019, 5)]);
  });

  it("charges a worker start for each chat when the idle timeout is shorter than the pause between two messages", () => {
    const usual = line(args("dev"), "workers of phi3").expected;
    expect(line(args("dev", { "phi3.idleTimeoutSeconds": 15 }), "workers of phi3").expected).toBeGreaterThan(usual);
  });

  it("limits the external LLMs to vip.dailyUsd in every case", () => {
    const vip = { providers: ["anthropic"], dailyUsd: 3, anthropic: llm(1_000_000) };
    const most = 3 * DAYS;
    expect(line(args("dev", { vip }), "chats of vip")).toEqual({ low: most, expected: most, worst: most });
  });

  it("charges vip chats at the paid model's price when there is no external LLM", () => {
    const vip = { providers: ["anthropic"], anthropic: llm(1) };
    const withLlm = line(args("dev", { vip }), "workers of mistral").expected;
    expect(line(args("dev"), "workers of mistral").expected).toBeGreaterThan(withLlm);
  });

  it("counts the metrics of the setting and of the candidates, and in the worst case those of all alarm codes", () => {
    const { expected, worst } = line(args("dev"), "CloudWatch metrics");
    const few = billedMetrics("few") - models.length;
    expect(expected).toBeCloseTo(few * 0.3, 5);
    expect(worst).toBeCloseTo((few + Object.keys(alarmCodes).length) * 0.3, 5);
    const all = billedMetrics("all") - models.length;
    expect(line(args("prod"), "CloudWatch metrics").expected).toBeCloseTo(all * 0.3, 5);
    const one = args("prod", { "mistral.candidate.imageTag": "2026-12-01" });
    expect(line(one, "CloudWatch metrics").expected).toBeCloseTo((all + 1) * 0.3, 5);
  });

  it("charges the chats above vip.dailyUsd at the paid model's price", () => {
    const vip = { providers: ["anthropic"], dailyUsd: 3, anthropic: llm(1_000_000) };
    const limited = line(args("dev", { vip }), "workers of mistral").expected;
    const withoutLlm = line(args("dev"), "workers of mistral").expected;
    expect(limited).toBeGreaterThan(withoutLlm * 0.99);
    expect(limited).toBeLessThan(withoutLlm);
  });

  it("charges the data that the API and the relay send to browsers", () => {
    const { expected, worst } = line(args("prod"), "Data transfer");
    // 30,000 chats of 10 kB and 9,000 calls of 2 kB, at 0.114 per GB.
    expect(expected).toBeCloseTo((30_000 * 10_000 + 9_000 * 2_000) * 1e-9 * 0.114, 6);
    // 50 parallel chats of 8 s each. 5 routes with 50 calls per second, one route with 10 and one with 20.
    expect(worst).toBeCloseTo(((50 / 8) * 10_000 + (5 * 50 + 10 + 20) * 2_000) * SECONDS * 1e-9 * 0.114, 2);
  });

  it("charges the relay's replies at CloudFront's price when CloudFront is in front of the relay", () => {
    const stack = { ...args("prod"), program: { ...program, distributions: 1 } };
    expect(line(stack, "CloudFront").expected).toBeCloseTo(30_000 * (2 * 0.0000012 + 10_000 * 1e-9 * 0.114), 6);
    expect(line(stack, "Data transfer").expected).toBeCloseTo(9_000 * 2_000 * 1e-9 * 0.114, 6);
  });

  it("charges ten rejected requests per second for each concurrent relay chat in the worst case", () => {
    const withConcurrency = (concurrency: number) => args("prod", { relay: { concurrency } });
    const more = (item: string) => line(withConcurrency(2), item).worst - line(withConcurrency(1), item).worst;
    expect(more("Lambda")).toBeCloseTo(SECONDS * (1 * 0.0000133334 + (10 * 0.2) / 1_000_000), 2);
    expect(more("CloudWatch logs")).toBeCloseTo(SECONDS * 10 * 1_000 * 1e-9 * (0.76 + 0.033), 2);
  });

  it("charges no ECR storage for images in another registry", () => {
    const items = billOf({ ...args("dev"), program: { ...program, repositories: [] } }).map(({ item }) => item);
    expect(items.filter((item) => item.includes("ECR"))).toEqual([]);
  });

  it("has one image more, and the workers that the share needs, for a candidate", () => {
    const images = (stack: BillArgs) => line(stack, "ECR, stored images");
    const candidate = { imageTag: "2026-12-01", share: 25, workersMax: 1 };
    const [without, withCandidate] = [args("prod"), args("prod", { "mistral.candidate": candidate })];
    // The compressed weights of mistral: a third of 80 GB of disk, without 12 GB of vLLM, at $0.10 per GB.
    for (const of of ["low", "expected", "worst"] as const)
      expect(images(withCandidate)[of] - images(without)[of]).toBeCloseTo((80 / 3 - 12) * 0.1, 6);
    const basis = billOf(without).find(({ item }) => item === "ECR, stored images")?.basis;
    expect(basis).toMatch(/One more image: \$\d\.\d\d \(phi3\), \$1\.47 \(mistral\)$/);

    const workers = (item: string, stack = withCandidate) => line(stack, item);
    expect(workers("workers of mistral.candidate").expected).toBeLessThan(workers("workers of mistral").expected);
    expect(workers("workers of mistral").expected).toBeLessThan(workers("workers of mistral", without).expected);
    expect(workers("workers of mistral.candidate").worst).toBeCloseTo(workers("workers of mistral").worst / 4, 0);
  });

  it("fails when a GPU pool has no price, and the error names the pool and the setting", () => {
    expect(() => billOf(args("dev", { "phi3.gpuIds": ["ADA_32_PRO"] }))).toThrow(
      /^No price is known for the GPU pool ADA_32_PRO \(phi3\.gpuIds\)\. Set RUNPOD_API_KEY .*prices\/runpod\.ts\.$/,
    );
  });
});

describe("A capacity note", () => {
  const notes = (chatsPerDay: number) => capacityNotes(args("dev", { "operations.expectedChatsPerDay": chatsPerDay }));

  it("names the setting to raise when the workers or the relay cannot answer all chats", () => {
    expect(notes(1_000_000)).toEqual([
      expect.stringMatching(/^phi3\.workersMax is 3, .* Raise it\.$/),
      expect.stringMatching(/^mistral\.workersMax is 2, .* Raise it\.$/),
      expect.stringMatching(/^relay\.concurrency is 50, .* Raise it\.$/),
    ]);
  });

  it("names workersMax of a candidate that cannot answer its share", () => {
    const candidate = { imageTag: "2026-12-01", share: 100, workersMax: 1 };
    const chats = { "operations.expectedChatsPerDay": 1_000_000, "mistral.candidate": candidate };
    expect(capacityNotes(args("dev", chats))).toContainEqual(
      expect.stringMatching(/^mistral\.candidate\.workersMax is 1, .* Raise it\.$/),
    );
  });

  it("does not appear when the workers and the relay can answer all chats", () => {
    expect(notes(100)).toEqual([]);
  });
});

describe("The settings with the largest effect on the bill", () => {
  it("are three for the expected case and three for the worst case, ordered by effect", () => {
    const { expected, worst } = settingsThatMatter(args("prod"));
    for (const [of, effects] of [["expected", expected] as const, ["worst", worst] as const]) {
      expect(effects).toHaveLength(3);
      expect(new Set(effects.map(({ path }) => path)).size).toBe(3);
      const sizes = effects.map(({ usd }) => Math.abs(usd[of]));
      expect(sizes).toEqual(sizes.toSorted((one, other) => other - one));
    }
  });

  it("show the same effect as that change in the stack's file", () => {
    const stack = args("prod", { relay: { concurrency: 1 }, throttle: { ratePerSecond: 0.1 } });
    const [first] = settingsThatMatter(stack).worst;
    expect(first).toMatchObject({ path: "phi3.workersMax", from: 6, to: 12 });
    const changed = args("prod", {
      relay: { concurrency: 1 },
      throttle: { ratePerSecond: 0.1 },
      "phi3.workersMax": 12,
    });
    expect(first?.usd.worst).toBeCloseTo(total(billOf(changed)).worst - total(billOf(stack)).worst, 5);
  });

  it("do not include a value that the program refuses, such as workers that always run in a dev stack", () => {
    const paths = (stack: string) => settingsThatMatter(args(stack)).expected.map(({ path }) => path);
    expect(paths("prod")).toContain("phi3.workersMin");
    expect(paths("dev").filter((path) => path.endsWith("workersMin"))).toEqual([]);
  });
});

describe("Counting the resources of the program", () => {
  it("fails for a type of AWS resource without a price, and names the file to change", () => {
    const resource = { urn: "urn:pulumi:dev::p::aws:ec2/instance:Instance::big", type: "aws:ec2/instance:Instance" };
    expect(() => countResources([resource as ResourceState])).toThrow(
      /^No price is known for aws:ec2\/instance:Instance "big"\. Add the type to ops\/cost\/resources\.ts/,
    );
  });
});
