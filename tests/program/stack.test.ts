import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DynamoDBClient, ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Candidate } from "../../functions/core/canary/candidate";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { engineOptions } from "../../local/cloud/program";
import { destroy, type EngineOptions, preview, refresh, type StepEvent, up } from "../../local/pulumi/engine";
import { stackNames } from "../../names";

// All tests share one stack with deletion protection, as in production. They run in this order.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-stack-"));
/** Longest stack name that the configuration accepts. */
const stack = "a-stack-of-18-char";
const overrides = { deletionProtection: true, "auth.domainPrefix": "snack-first", "aws:defaultTags.tags.stack": stack };
let cloud: LocalCloud;
let types: string[];

beforeAll(async () => {
  cloud = await startLocalCloud({ programDir, dir, freePorts: true });
  const { steps } = await up(options());
  types = [...new Set(steps.map(({ type }) => type))];
});
afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

function options(more: Record<string, unknown> = {}): EngineOptions {
  return engineOptions(cloud, programDir, dir, { ...overrides, ...more }, stack);
}

/** Every resource at AWS, as `<type> <id>`. */
const all = () => types.flatMap((type) => cloud.aws.account.list(type));
const atAws = () =>
  all()
    .map(({ type, id }) => `${type} ${id}`)
    .sort();
const named = (type: string) => cloud.aws.account.list(type).map(({ outputs }) => String(outputs.name));

describe("AWS resources of a stack", () => {
  it("have names with project and stack, also with the longest stack name", () => {
    const names = [
      "aws:iam/role:Role",
      "aws:dynamodb/table:Table",
      "aws:lambda/function:Function",
      "aws:cognito/userPool:UserPool",
      "aws:ecr/repository:Repository",
    ].flatMap(named);
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) expect(name).toMatch(new RegExp(`^snack-misaki-${stack}-`));
  });

  it("have tags with project and stack wherever AWS has tags", () => {
    const tagged = all().filter(({ outputs }) => "tagsAll" in outputs);
    expect(new Set(tagged.map(({ type }) => type.split("/")[0]))).toEqual(
      new Set(
        ["apigatewayv2", "cloudwatch", "cognito", "dynamodb", "ecr", "iam", "lambda", "sns", "sqs", "ssm"].map(
          (each) => `aws:${each}`,
        ),
      ),
    );
    for (const { outputs } of tagged) expect(outputs.tagsAll).toEqual({ project: "snack-misaki", stack });
  });
});

describe("The seeded customers", () => {
  it("have rows with their plans in every new stack of the local cloud", async () => {
    const endpoint = cloud.aws.endpoints.dynamodb;
    const credentials = { accessKeyId: "x", secretAccessKey: "x" };
    const client = new DynamoDBClient({ endpoint, region: cloud.aws.account.region, credentials });
    const TableName = named("aws:dynamodb/table:Table").find((name) => name.includes("-users-"));
    const { Items = [] } = await client.send(new ScanCommand({ TableName }));
    client.destroy();
    expect(Items.map(({ grant_plan }) => grant_plan?.S ?? "free").sort()).toEqual(["free", "paid", "vip"]);
  });
});

describe("pulumi destroy with deletionProtection", () => {
  it("refuses at once and deletes nothing", async () => {
    const before = atAws();
    await expect(destroy(options())).rejects.toThrow(
      /^cannot delete protected resources: (aws:cognito\/userPool:UserPool "identity"|, |aws:dynamodb\/table:Table "users"){3}\. Nothing was deleted\./,
    );
    expect(atAws()).toEqual(before);
  });
});

describe("A change of auth.domainPrefix", () => {
  it("replaces the pool's only domain on a live stack", async () => {
    const steps = await up(options({ "auth.domainPrefix": "snack-second" }));
    const replaced = steps.steps.filter(({ op }) => op === "replace");
    expect(replaced.map(({ type }) => type)).toEqual(["aws:cognito/userPoolDomain:UserPoolDomain"]);
    expect(cloud.aws.account.list("aws:cognito/userPoolDomain:UserPoolDomain")).toMatchObject([{ id: "snack-second" }]);
  });
});

describe("A second pulumi up", () => {
  it("changes nothing, also after a refresh, and keeps the automatic names", async () => {
    const second = { "auth.domainPrefix": "snack-second" };
    const before = atAws();
    await refresh(options(second));
    const { steps } = await up(options(second));
    expect(steps.filter(({ op, custom }) => custom && op !== "same" && op !== "read")).toEqual([]);
    expect(atAws()).toEqual(before);
  });
});

describe("A candidate", () => {
  const released = { "auth.domainPrefix": "snack-second" };
  const candidate = { ...released, "mistral.candidate.imageTag": "2026-12-01" };
  const changes = (steps: StepEvent[]) =>
    steps
      .filter(({ op, custom }) => custom && op !== "same" && op !== "read")
      .map(({ op, type, name }) => `${op} ${type.split(":").at(-1)} ${name}`)
      .sort();

  it("creates exactly an image, a template, an endpoint and a parameter", async () => {
    const { steps } = await up(options(candidate));
    expect(changes(steps)).toEqual([
      "create Endpoint mistral-candidate",
      "create Image mistral-2026-12-01",
      "create Parameter mistral-candidate",
      "create Template mistral-candidate",
    ]);
  });

  it("changes only its parameter for another share", async () => {
    const { steps } = await up(options({ ...candidate, "mistral.candidate.share": 25 }));
    expect(changes(steps)).toEqual(["update Parameter mistral-candidate"]);
  });

  const name = stackNames(stack).parameters.candidates;
  const parameter = () => cloud.aws.account.get("aws:ssm/parameter:Parameter", `${name}/mistral`);
  const live = () => Candidate.parse(JSON.parse(String(parameter()?.outputs.value)));

  /** Writes into the parameter, as the functions of the running stack do. */
  function write(value: string): void {
    const found = parameter();
    if (!found) throw new Error("The parameter does not exist");
    cloud.aws.account.put({ ...found, outputs: { ...found.outputs, value } });
  }

  const rollback = {
    share: 0,
    replaces: 25,
    by: "verdict" as const,
    reason: "7 replies break the contract.",
    at: "2026-12-02T03:04:05.000Z",
  };

  it.each([
    ["up", async () => {}],
    ["up --refresh", (options: EngineOptions) => refresh(options)],
  ])("stays rolled back and ready after %s, which warns of the share in force", async (_command, before) => {
    const shared = options({ ...candidate, "mistral.candidate.share": 25 });
    await up(shared);
    write(JSON.stringify({ ...live(), isReady: true, override: rollback }));
    await before(shared);
    const warnings: string[] = [];
    const { steps } = await up({ ...shared, onWarning: (text) => void warnings.push(text) });
    expect(live()).toMatchObject({ share: 25, isReady: true, override: rollback });
    expect(changes(steps).filter((step) => !step.includes("Parameter"))).toEqual([]);
    expect(warnings).toContain(
      "mistral.candidate.share is 25, but 0 is in force since 2026-12-02T03:04:05.000Z: 7 replies break the contract. " +
        "Another share in the configuration ends this.",
    );
  });

  it("gets another share of the configuration in spite of a rollback, and stays ready", async () => {
    const warnings: string[] = [];
    await up({
      ...options({ ...candidate, "mistral.candidate.share": 5 }),
      onWarning: (text) => void warnings.push(text),
    });
    expect(live()).toMatchObject({ share: 5, isReady: true });
    expect(live().override).toBeUndefined();
    expect(warnings.filter((text) => text.includes("candidate"))).toEqual([
      "mistral.candidate: the rollback of 2026-12-02T03:04:05.000Z ends, and the share 5 of the configuration applies. Its " +
        "reason was: 7 replies break the contract.",
    ]);
  });

  it("stays rolled back when the rollback comes while pulumi up changes the endpoint", async () => {
    const change = options({ ...candidate, "mistral.candidate.share": 5, "mistral.candidate.workersMax": 1 });
    const comes = { ...rollback, replaces: 5 };
    await up({
      ...change,
      onStep: ({ type, name }) => {
        if (type.endsWith(":Template") && name === "mistral-candidate")
          write(JSON.stringify({ ...live(), override: comes }));
      },
    });
    expect(live()).toMatchObject({ share: 5, override: comes });
    write(JSON.stringify({ ...live(), override: undefined }));
  });

  describe("with another image", () => {
    const other = { ...released, "mistral.candidate.imageTag": "2026-12-02", "mistral.candidate.share": 5 };

    it.each([
      ["up", up],
      ["preview", preview],
    ])("is refused by %s while customers get the present one, and nothing at RunPod changes", async (_name, run) => {
      const changed: string[] = [];
      const onStep = ({ op, custom, type, name }: StepEvent) => {
        if (custom && op !== "same" && op !== "read" && !type.endsWith(":Image")) changed.push(`${op} ${name}`);
      };
      await expect(run({ ...options(other), onStep })).rejects.toThrow(
        "mistral.candidate: its image 2026-12-01 answers 5% of the customers, and 2026-12-02 would replace it without a test. " +
          `First run npm run admin -- canary mistral 0 --stack ${stack}`,
      );
      expect(changed).toEqual([]);
    });

    it("is accepted when only testers get the present one", async () => {
      const before = JSON.stringify(live());
      write(JSON.stringify({ ...live(), override: { ...rollback, replaces: 5, by: "operator" } }));
      const { steps } = await preview(options(other));
      expect(changes(steps)).toContain("update Template mistral-candidate");
      write(before);
    });
  });

  it("is not deployed over a parameter that cannot be read, which may contain a rollback", async () => {
    const before = JSON.stringify(live());
    write("{}");
    await expect(up(options(candidate))).rejects.toThrow(
      /The parameter \/snack-misaki\/a-stack-of-18-char\/candidates\/mistral does not contain a candidate: run aws ssm delete-parameter/,
    );
    expect(parameter()?.outputs.value).toBe("{}");
    write(before);
  });

  it("is deleted with its block, and only it", async () => {
    const { steps } = await up(options(released));
    expect(changes(steps)).toEqual([
      "delete Endpoint mistral-candidate",
      "delete Image mistral-2026-12-01",
      // The refused update had already built it.
      "delete Image mistral-2026-12-02",
      "delete Parameter mistral-candidate",
      "delete Template mistral-candidate",
    ]);
  });
});

describe("A change of the default tags", () => {
  it("is previewed as an update of tagsAll", async () => {
    const { steps } = await preview(
      options({ "aws:defaultTags.tags.team": "mama", "auth.domainPrefix": "snack-second" }),
    );
    const users = steps.find(({ name, type }) => name === "users" && type.endsWith(":Table"));
    expect(users).toMatchObject({ op: "update", changed: ["tagsAll"], tags: { team: "mama" } });
  });
});

describe("pulumi destroy after deletionProtection false and an up", () => {
  it("deletes everything", async () => {
    const off = options({ deletionProtection: false, "auth.domainPrefix": "snack-second" });
    await up(off);
    await destroy(off);
    // An image stays, because a rollback needs it.
    expect(atAws().filter((each) => !each.startsWith("docker-build:"))).toEqual([]);
  });
});
