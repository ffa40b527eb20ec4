import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { type Difference, differences } from "../../../ops/configCheck/differences";
import { risks } from "../../../ops/configCheck/risks";
import { readStackFile } from "../../../ops/configCheck/stackFile";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-config-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
beforeAll(() => copyFileSync("Pulumi.dev.yaml", join(dir, "Pulumi.dev.yaml")));

/**
 * Writes `Pulumi.prod.yaml` with changed keys and an operator's own names in place of the examples. Returns the findings of
 * the command. Keys have no namespace.
 */
function check(changes: Record<string, unknown>, hasTestKey = false) {
  const { config } = parse(readFileSync("Pulumi.prod.yaml", "utf8")) as { config: Record<string, unknown> };
  for (const [key, value] of Object.entries(changes)) config[key.includes(":") ? key : `snack-misaki:${key}`] = value;
  const text = stringify({ config })
    .replaceAll("misaki.example", "misaki.test")
    .replace(":123456789012:", ":210987654321:");
  writeFileSync(join(dir, "Pulumi.prod.yaml"), text);
  return findings(dir, hasTestKey);
}

/** Findings of the command for the stack prod, compared with dev. */
function findings(programDir: string, hasTestKey = false) {
  const { file } = readStackFile(programDir, "prod");
  const against = readStackFile(programDir, "dev").file;
  const found = differences(file, against);
  return { ...file, found, warnings: risks({ file, against, differences: found, hasTestKey }) };
}

const encrypted = { secure: "v1:AAAA:BBBB" };
const secrets = { runpodApiKey: encrypted };

describe("The committed stack files", () => {
  it.each(["dev", "staging", "prod"])("%s is valid and lacks only its secrets", (stack) => {
    const { problems, missingSecrets } = readStackFile(process.cwd(), stack).file;
    expect([problems, missingSecrets]).toEqual([[], ["runpodApiKey"]]);
  });

  it("prod has a warning for its missing secret and for each example value, and no other warning", () => {
    const { warnings } = findings(process.cwd());
    expect(warnings.map(({ key }) => key)).toEqual([
      "runpodApiKey",
      "frontend.callbackUrls",
      "frontend.logoutUrls",
      "frontend.origins",
      "auth.email.identityArn",
      "auth.email.from",
      "operations.emails",
    ]);
    expect(warnings.at(-1)?.warning).toBe("still has the example operator@snack-misaki.example. Write your own value");
  });

  it("prod has no warning when it has the secret and the operator's own values", () => {
    expect(check(secrets).warnings).toEqual([]);
  });
});

describe("Differences between two stacks", () => {
  const difference = (changes: Record<string, unknown>, key: string): Difference | undefined =>
    check(changes).found.find((each) => each.key === key);

  it("show both values, and the key's meaning from the configuration reference", () => {
    expect(difference({}, "phi3.workersMax")).toEqual({
      key: "phi3.workersMax",
      value: 6,
      against: 3,
      meaning: "Maximum number of workers at the same time.",
    });
  });

  it("include a default value that only one file changes, but no equal value", () => {
    expect(difference({ relay: { concurrency: 80 } }, "relay.concurrency")).toMatchObject({ value: 80, against: 50 });
    expect(difference({ relay: { concurrency: 50 } }, "relay.concurrency")).toBeUndefined();
  });

  it("all have a meaning", () => {
    const registry = { kind: "token", host: "ghcr.io", username: "misaki" };
    const vip = {
      providers: ["bedrock"],
      bedrock: {
        model: "jp.anthropic.claude-sonnet-5-5",
        usdPerMillionTokens: { input: 2, cachedInput: 0.2, output: 10 },
      },
    };
    const { found } = check({ registry, vip, "aws:region": "us-east-1" });
    expect(found.map(({ key }) => key)).toEqual(
      expect.arrayContaining(["registry.kind", "vip.bedrock.model", "aws:region"]),
    );
    expect(found.filter(({ meaning }) => meaning === "")).toEqual([]);
  });

  it("include the keys of Pulumi's AWS provider, but show none of its credentials", () => {
    const tags = { project: "snack-misaki", stack: "prod", owner: "mama" };
    const { found } = check({
      "aws:allowedAccountIds": ["123456789012"],
      "aws:defaultTags": { tags },
      "aws:secretKey": "CANARY",
    });
    const shown = found.filter(({ key }) => key.startsWith("aws:")).map(({ key, value }) => [key, value]);
    expect(shown).toEqual([
      ["aws:allowedAccountIds", ["123456789012"]],
      ["aws:secretKey", "(not shown)"],
      ["aws:defaultTags.tags.owner", "mama"],
    ]);
    expect(found.filter(({ meaning }) => meaning === "")).toEqual([]);
  });

  it("show that a secret is set, but not its value", () => {
    const { found } = check({ runpodApiKey: encrypted });
    expect(found).toContainEqual(
      expect.objectContaining({ key: "runpodApiKey", value: "(secret)", against: undefined }),
    );
    expect(JSON.stringify(found)).not.toContain("AAAA");
  });
});

describe("A prod stack has a warning", () => {
  const { config } = parse(readFileSync("Pulumi.prod.yaml", "utf8")) as {
    config: Record<string, Record<string, unknown>>;
  };
  const frontend = config["snack-misaki:frontend"];
  const operations = config["snack-misaki:operations"];
  const prices = { prices: { paid: ["price_1"], vip: [] } };
  const model = config["snack-misaki:phi3"];
  it.each<[string, Record<string, unknown>, string]>([
    ["without deletion protection", { deletionProtection: false }, "deletionProtection is false"],
    [
      "for localhost in callbackUrls",
      { frontend: { ...frontend, callbackUrls: ["http://localhost:5173/callback"] } },
      "frontend.callbackUrls contains http://localhost:5173/callback",
    ],
    [
      "for localhost in origins",
      { frontend: { ...frontend, origins: ["http://localhost:5173"] } },
      "frontend.origins contains http://localhost:5173",
    ],
    [
      "for localhost in returnUrls",
      { billing: { returnUrls: ["http://localhost:5173/"] } },
      "billing.returnUrls contains http://localhost:5173/",
    ],
    [
      "without an address for the alarms",
      { operations: { ...operations, emails: [] } },
      "operations.emails is empty: nobody gets the alarms",
    ],
    ["without SES", { auth: { domainPrefix: "snack-misaki-prod" } }, "auth.email is missing"],
    [
      "for a limit below that of dev",
      { relay: { concurrency: 10 } },
      "relay.concurrency is 10, smaller than 50 of dev",
    ],
    [
      "for a plan's limit below that of dev",
      { relay: { limits: { vip: { tokensPerDay: 1 } } } },
      "relay.limits.vip.tokensPerDay is 1, smaller than 500000 of dev",
    ],
    [
      "for fewer workers than dev",
      { phi3: { ...model, workersMax: 1 } },
      "phi3.workersMax is 1, smaller than 3 of dev",
    ],
    [
      "for a candidate that answers all customers",
      { phi3: { ...model, candidate: { imageTag: "v9", share: 100 } } },
      "phi3.candidate.share is 100: all customers get the candidate",
    ],
    [
      "for the domain prefix of dev",
      { auth: { domainPrefix: "snack-misaki-dev" } },
      "auth.domainPrefix is also that of dev",
    ],
    [
      "for prices without a Stripe key",
      { billing: prices },
      "stripeApiKey is missing; set it with: pulumi config set --secret stripeApiKey",
    ],
    [
      "for prices without a webhook",
      { billing: prices, stripeApiKey: encrypted },
      "stripeWebhookKey is missing; set it with",
    ],
    [
      "for an external LLM without its key",
      {
        vip: {
          providers: ["openai"],
          openai: { model: "gpt-6.1-terra", usdPerMillionTokens: { input: 1, cachedInput: 1, output: 5 } },
        },
      },
      "openaiApiKey is missing; set it with",
    ],
  ])("%s", (_, changes, warning) => {
    const lines = check({ ...secrets, ...changes }).warnings.map((each) => `${each.key} ${each.warning}`);
    expect(lines.filter((line) => line.startsWith(warning))).toHaveLength(1);
  });

  it("for a host name that dev also uses", () => {
    const domains = { zone: "Z0123456789", api: "api.snack.test", relay: "relay.snack.test" };
    const { file } = readStackFile(dir, "dev");
    const dev = { ...file, config: file.config && { ...file.config, domains } };
    const prod = check({ ...secrets, domains: { ...domains, relay: "other.snack.test" } });
    const shared = risks({ file: { ...prod, stack: "prod" }, against: dev, differences: [], hasTestKey: false });
    expect(shared).toEqual([
      {
        key: "domains.api",
        warning: "is api.snack.test, as in dev, but a host name leads to one stack only. Choose another one",
      },
    ]);
  });

  it("for a Stripe key of the test mode, without printing the key", () => {
    const warnings = check({ ...secrets, stripeApiKey: encrypted }, true).warnings;
    expect(warnings.map(({ key }) => key)).toEqual(["stripeApiKey"]);
    expect(warnings[0]?.warning).toContain("Stripe's test mode");
  });

  it("only for a limit that is smaller than in dev, not for an unlimited value", () => {
    expect(check({ ...secrets, relay: { concurrency: -1 } }).warnings).toEqual([]);
  });
});

describe("npm run config:check", () => {
  /** Runs the command in `dir`, which has the stacks' files and links to the code. */
  async function run(...args: string[]) {
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "",
      NO_COLOR: "1",
      STRIPE_API_KEY: "rk_test_CANARY",
    };
    const command = ["cli/run.cjs", "ops/configCheck/configCheck.ts", ...args];
    const done = promisify(execFile)(process.execPath, command, { env, cwd: dir });
    const {
      stdout,
      stderr,
      code = 0,
    } = (await done.catch((error: { stdout: string; stderr: string; code: number }) => error)) as {
      stdout: string;
      stderr: string;
      code?: number;
    };
    expect(stdout + stderr).not.toContain("CANARY");
    return { stdout, stderr, code };
  }
  beforeAll(() => {
    const others = readdirSync(".").filter((name) => !/^Pulumi\..+\.yaml$/.test(name) && name !== ".git");
    for (const name of others) symlinkSync(resolve(name), join(dir, name));
  });

  it("exits with status 1 for an invalid value, and names the field and the allowed values", async () => {
    check({ throttle: { burst: "many" } });
    const { stdout, code } = await run("--stack", "prod");
    expect(code).toBe(1);
    expect(stdout).toContain('snack-misaki:throttle.burst: must be a number, got "many"');
  });

  it("exits with status 1 for a contradiction and for a secret in plain text, without printing the secret", async () => {
    check({ runpodWorkerQuota: 1, anthropicApiKey: "sk-CANARY" });
    const { stdout, code } = await run("--stack", "prod", "--json");
    const { problems } = JSON.parse(stdout) as { problems: string[] };
    expect(code).toBe(1);
    expect(problems).toEqual([
      expect.stringMatching(/^snack-misaki:anthropicApiKey: is in plain text/),
      expect.stringMatching(/^snack-misaki:runpodWorkerQuota: must be at least the sum of workersMax/),
    ]);
  });

  it("exits with status 0 for warnings, and reports a test key without printing it", async () => {
    check({ ...secrets, stripeApiKey: encrypted });
    const { stdout, code } = await run("--stack", "prod");
    expect(code).toBe(0);
    expect(stdout).toMatch(/phi3\.workersMax +│ 3 +│ 6 +│ Maximum number of/);
    expect(stdout).toMatch(/stripeApiKey is a key of Stripe's test mode/);
    expect(stdout).toMatch(/0 problems, 1 warning, \d+ differences from dev\n$/);
  });

  it("does not print a secret that is inside of an object", async () => {
    check({ billing: { stripeApiKey: "rk_live_CANARY" } });
    const { stdout, code } = await run("--stack", "prod");
    expect(code).toBe(1);
    expect(stdout).toContain("  snack-misaki:billing: must not have stripeApiKey\n");
  });

  it("prints that it compares nothing when the configuration is not valid", async () => {
    check({ throttle: "many" });
    const { stdout } = await run("--stack", "prod");
    expect(stdout).toMatch(/\n1 problem; not compared with dev, because Pulumi\.prod\.yaml is not valid\n$/);
  });

  it.each([
    ["that is not YAML", "config:\n  snack-misaki:stripeApiKey: [rk_live_CANARY\n", /cannot be read: .* at line \d+/],
    ["whose config is not an object", "config: rk_live_CANARY\n", /cannot be read: config must be an object/],
    ["that is only text", "rk_live_CANARY\n", /cannot be read: must be an object with the key config/],
  ])("refuses a file %s without printing its text", async (_, content, message) => {
    writeFileSync(join(dir, "Pulumi.prod.yaml"), content);
    const { stderr, code } = await run("--stack", "prod");
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("names the existing stacks when a stack has no file", async () => {
    const { stderr, code } = await run("--stack", "nowhere");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Pulumi\.nowhere\.yaml cannot be read: there is no such file\. Stacks with a file: dev, prod\n$/,
    );
  });
});
