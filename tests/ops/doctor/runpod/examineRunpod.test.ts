import { afterEach, describe, expect, it } from "vitest";
import { type Model, models } from "../../../../contract/plan";
import { addOwnerTag } from "../../../../runpod/ownerTag";
import { FakeWorker } from "../../../local/runpod/fixture";
import { browserKeys, DoctorFixture, keys, OWNER } from "./fixture";

const DAY_MS = 86_400_000;
const PHI3 = "snack-misaki-dev-phi3";

let fixture: DoctorFixture | undefined;
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
});
async function open(...args: Parameters<typeof DoctorFixture.open>): Promise<DoctorFixture> {
  fixture = await DoctorFixture.open(...args);
  return fixture;
}

/** The checks of a report that are not ok. */
async function problems(here: DoctorFixture, ...args: Parameters<DoctorFixture["report"]>) {
  return (await here.report(...args)).filter(({ status }) => status !== "ok");
}

/** An expected check, with patterns of the observed state and of the next step. */
function line(name: string, status: "failed" | "warning" | "unknown", seen: RegExp, todo: RegExp) {
  return { name, status, seen: expect.stringMatching(seen), todo: expect.stringMatching(todo) };
}

const bothApis = describe.each(["graphql", "rest"] as const);

bothApis("examine of a healthy stack (%s)", (api) => {
  it("reports every check as ok", async () => {
    const here = await open({ api });
    const checks = await here.report();
    const parts = ["endpoint", "template", "image", "registry", "version", "workers", "drift", "browser key"];
    expect(checks.map(({ name }) => name)).toEqual([
      ...["RunPod API", "account", "key", "worker quota", "leaked endpoints"],
      ...models.flatMap((model) => parts.map((part) => `${model} ${part}`)),
    ]);
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
  });

  it("counts the workers of all endpoints with the same name, and lists their ids", async () => {
    const here = await open({ api });
    const before = await here.report();
    await here.change("phi3", { name: "snack-misaki-test-phi3" });
    const checks = await here.report();
    const seen = (some: typeof checks, part: string) => some.find(({ name }) => name === part)?.seen ?? "";
    const sum = (some: typeof checks) => Number.parseInt(seen(some, "worker quota"), 10);
    expect(sum(checks)).toBe(sum(before) + 3);
  });

  it("reports no problem when some answers are lost and there is no worker", async () => {
    const here = await open({ api, runpod: { workersQuota: 10 } });
    here.runpod.skip(DAY_MS);
    here.runpod.switches.faults.push({ on: "*", times: 3, skip: 2, done: true, delayMs: 0, answer: "cut" });
    expect(await problems(here)).toEqual([]);
  });

  it("changes nothing at RunPod", async () => {
    const here = await open({ api });
    const before = structuredClone([here.runpod.account.endpoints, here.runpod.account.templates]);
    await here.report();
    expect([here.runpod.account.endpoints, here.runpod.account.templates]).toEqual(before);
    expect(here.runpod.account.registryAuths).toHaveLength(1);
  });
});

describe("examine of a stack with a candidate", () => {
  const config = { "mistral.candidate": { imageTag: "2026-12-01", workersMax: 1 } };

  it("compares the candidate's template and endpoint too, and does not call its endpoint leaked", async () => {
    const here = await open({ config, runpod: { workersQuota: 20 } });
    const checks = await here.report();
    const parts = ["endpoint", "template", "image", "registry", "version", "workers", "drift"];
    expect(checks.map(({ name }) => name).filter((name) => name.includes("candidate"))).toEqual(
      parts.map((part) => `mistral candidate ${part}`),
    );
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
    const quota = checks.find(({ name }) => name === "worker quota")?.seen;
    expect(quota).toContain("snack-misaki-dev-mistral-candidate 1");
  });

  it("reports a candidate that is not deployed, and one that runs another image", async () => {
    const here = await open({ runpod: { workersQuota: 20 } });
    const mistral = { ...here.target.config.mistral };
    const candidate = { imageTag: "2026-12-01", share: 0, testers: [], workersMax: 1 };
    const missing = await problems(here, { config: { ...here.target.config, mistral: { ...mistral, candidate } } });
    expect(missing).toContainEqual(
      line("mistral candidate endpoint", "failed", /no endpoint named snack-misaki-dev-mistral-candidate/, /pulumi up/),
    );

    const deployed = await open({ config, runpod: { workersQuota: 20 } });
    const changed = { ...deployed.target.config.mistral, candidate: { ...candidate, imageTag: "2026-12-02" } };
    expect(await problems(deployed, { config: { ...deployed.target.config, mistral: changed } })).toEqual([
      line("mistral candidate image", "warning", /the configuration says mistral-2026-12-02/, /pulumi up --refresh/),
    ]);
    await here.close();
  });
});

bothApis("examine of broken workers (%s)", (api) => {
  const tag = api === "rest" ? "ghcr.io/example/phi3:2026-12-01" : undefined;

  it("reports crashing workers", async () => {
    const here = await open({ api, before: ({ switches }) => switches.crashing.push(PHI3) });
    expect(await problems(here)).toEqual([
      line(
        "phi3 workers",
        "failed",
        /^crash loop: workers of version 1: 0 ready, 1 crashing; .*exit code 1/,
        /^Workers crash: read a worker's log/,
      ),
    ]);
  });

  it("reports workers that wait for a GPU", async () => {
    const here = await open({ api });
    here.runpod.switches.noCapacity.push(PHI3);
    await here.bump("phi3", tag);
    expect(await problems(here)).toContainEqual(
      line("phi3 workers", "failed", /0 ready, 1 waiting for a GPU/, /throttled\): allow more GPU pools/),
    );
  });

  it("reports an image that cannot be pulled", async () => {
    const here = await open({ api, before: ({ switches }) => switches.unpullable.push("*phi3*") });
    expect(await problems(here)).toEqual([
      line(
        "phi3 workers",
        "failed",
        /1 starting; its host reports: cannot pull its image: failed to pull .*phi3/,
        /image cannot be pulled: check its name/,
      ),
    ]);
  });

  it("reports workers as failed when they start for longer than RunPod allows", async () => {
    const never = { exited: new Promise<undefined>(() => {}), stop: async () => {} };
    const here = await open({ api, runpod: { startWorker: () => never } });
    here.runpod.skip(DAY_MS / 24 / 3);
    expect(await problems(here)).toContainEqual(
      line("phi3 workers", "failed", /1 starting, for 20 minutes$/, /^Read the worker's log in RunPod's console/),
    );
  });

  it("warns about workers that are still starting", async () => {
    const here = await open({ api, before: ({ switches }) => Object.assign(switches, { coldStartMs: 60_000 }) });
    expect(await problems(here)).toEqual(
      models.map((model) => line(`${model} workers`, "warning", /0 ready, 1 starting/, /^Check again in some minutes/)),
    );
  });

  it("reports expired registry credentials", async () => {
    const here = await open({ api });
    if (api === "graphql") here.runpod.skip(DAY_MS / 2);
    else for (const { id } of here.runpod.account.registryAuths) here.runpod.account.registries.expire(id);
    await here.bump("phi3", tag);
    const renew =
      api === "graphql"
        ? /aws lambda invoke --function-name snack-misaki-dev-registryRefresh/
        : /^Create a new token, then: pulumi config set --secret registryToken/;
    expect(await problems(here)).toEqual(
      expect.arrayContaining([
        line("phi3 registry", "failed", /rejects snack-misaki-dev-registry: .*authorization token has expired/, renew),
        line("phi3 workers", "failed", /token has expired/, /registry credentials are still valid/),
      ]),
    );
  });

  it("reports endpoints as failed when RunPod scaled them to zero after a week", async () => {
    const here = await open({ api });
    here.runpod.skip(8 * DAY_MS);
    const lines = await problems(here);
    expect(lines).toEqual(
      expect.arrayContaining([
        line(
          "phi3 drift",
          "failed",
          /^workersMax is 0, configured 3: RunPod sets this after 7 days/,
          /^Run "pulumi up --refresh"/,
        ),
        line("mistral drift", "failed", /^workersMax is 0, configured 2/, /^Run "pulumi up --refresh"/),
      ]),
    );
    expect(lines).toContainEqual(line("phi3 workers", "failed", /^none, and workersMax is 0/, /^Run "pulumi up":/));
  });

  it("warns about endpoints that RunPod scaled down after three days", async () => {
    const here = await open({ api });
    here.runpod.skip(4 * DAY_MS);
    expect(await problems(here)).toContainEqual(
      line(
        "phi3 drift",
        "warning",
        /^workersMax is 2, configured 3: RunPod sets this after 3 days/,
        /^Run "pulumi up --refresh"/,
      ),
    );
  });
});

it("examine warns about a rollout that waits for a busy worker", async () => {
  const workers: FakeWorker[] = [];
  const here = await open({
    runpod: {
      startWorker: (env) => {
        const worker = new FakeWorker(env);
        workers.push(worker);
        return worker;
      },
    },
  });
  const worker = workers.find(({ env }) => env.RUNPOD_ENDPOINT_ID === here.endpointIds.phi3);
  const url = `${here.runpod.jobApiUrl}/${here.endpointIds.phi3}/run`;
  const headers = { authorization: `Bearer ${keys.account}`, "content-type": "application/json" };
  await fetch(url, { method: "POST", headers, body: JSON.stringify({ input: { text: "こんばんは" } }) });
  await worker?.take();
  await here.bump(
    "phi3",
    `${(await here.client.getTemplate(here.templateIds.phi3))?.imageName.replace("11-22", "12-01")}`,
  );
  expect(await problems(here)).toContainEqual(
    line(
      "phi3 version",
      "warning",
      /^1 of 2 workers on version 2, rollout at 50 %$/,
      /^Wait: old workers end when their jobs are done/,
    ),
  );
});

bothApis("examine of a broken account (%s)", (api) => {
  it("reports a read-only key as failed", async () => {
    const here = await open({ api });
    const [key, ...others] = await problems(here, { apiKey: { key: keys.readOnly } });
    expect(key).toEqual(
      line(
        "key",
        "failed",
        /^can read, but not change endpoints, .*: it is a read-only or restricted key/,
        /key with All permissions/,
      ),
    );
    expect(others).toEqual([]);
  });

  it.each([
    ["restricted to an endpoint", keys.phi3],
    ["unknown to RunPod", "rpa_CANARY_NO_SUCH_ID"],
  ])("reports only one check for a key that is %s", async (_what, apiKey) => {
    const here = await open({ api });
    expect(await here.report({ apiKey: { key: apiKey } })).toEqual([
      line("key", "failed", /RunPod refused .*the API key/, /pulumi config set --secret runpodApiKey/),
    ]);
  });

  it("reports only one check when RunPod is unreachable", async () => {
    const here = await open({ api });
    const config = { ...here.target.config, runpodApiUrl: "http://127.0.0.1:9" };
    expect(await here.report({ config })).toEqual([
      line(
        "RunPod",
        "failed",
        /^http:\/\/127.0.0.1:9 cannot be reached: RunPod did not answer/,
        /network and runpodApiUrl/,
      ),
    ]);
  });

  it("reports a quota below the configured workers as failed", async () => {
    const here = await open({ api, config: { runpodWorkerQuota: 5, "phi3.workersMax": 4 } });
    expect(await problems(here)).toEqual([
      line(
        "worker quota",
        "failed",
        /^\d+ configured \(.*phi3 4, .*mistral 2\), but the quota is 5/,
        /^Lower workersMax/,
      ),
    ]);
  });
});

it("examine uses RunPod's quota when the configuration has no quota", async () => {
  const here = await open({
    runpod: { workersQuota: 5 },
    endpoint: { workersMax: 1 },
    config: { "phi3.workersMax": 4 },
  });
  expect(await problems(here)).toContainEqual(
    line("worker quota", "failed", /^\d+ configured .*, but the quota is 5/, /^Lower workersMax/),
  );
});

it("examine runs all other checks when one part of the account cannot be read", async () => {
  const here = await open({ api: "rest" });
  const on = "GET /v2/registries";
  here.runpod.switches.faults.push({ on, times: 99, skip: 0, done: false, delayMs: 0, answer: 500 });
  const checks = await here.report();
  expect(checks).toContainEqual(
    line("key", "failed", /^cannot read credentials\..*try again later/, /^Try again in some minutes/),
  );
  // Every check is ok except one check of the account and the registry check of each model.
  expect(checks.filter(({ status }) => status === "ok")).toHaveLength(4 + 7 * models.length);
});

bothApis("examine of a broken deployment (%s)", (api) => {
  it("reports a deleted endpoint", async () => {
    const here = await open({ api });
    await here.change("phi3", { workersMin: 0, workersMax: 0 });
    await here.client.deleteEndpoint(here.endpointIds.phi3);
    expect(await problems(here)).toContainEqual(
      line(
        "phi3 endpoint",
        "failed",
        /^RunPod has no endpoint named snack-misaki-dev-phi3$/,
        /pulumi refresh.*pulumi up/,
      ),
    );
  });

  it("reports resources created by another stack", async () => {
    const here = await open({ api });
    const lines = await problems(here, { owner: "snack-misaki/prod" });
    expect(lines).toContainEqual(
      line(
        "phi3 endpoint",
        "failed",
        /has the owner tag of snack-misaki\/dev, not that of snack-misaki\/prod$/,
        /^Run "pulumi up --refresh": it restores the tag if this stack created the endpoint/,
      ),
    );
    expect(lines).toContainEqual(
      line(
        "phi3 template",
        "failed",
        /has the owner tag of snack-misaki\/dev, not that of snack-misaki\/prod$/,
        /^Run "pulumi up --refresh": it restores the tag if this stack created the template/,
      ),
    );
  });

  it("reports a template without owner tag, and names the command that restores the tag", async () => {
    const here = await open({ api });
    const template = await here.client.getTemplate(here.templateIds.phi3);
    if (!template) throw new Error("The template does not exist");
    const { id, env, ...settings } = template;
    const { SNACK_MISAKI_STACK: _, ...untagged } = env;
    await here.client.saveTemplate({ ...settings, env: untagged }, id);
    expect(await problems(here)).toContainEqual(
      line("phi3 template", "failed", /has no owner tag, not that of snack-misaki\/dev$/, /pulumi up --refresh/),
    );
  });

  it("reports an endpoint that runs another template", async () => {
    const here = await open({ api });
    const template = await here.client.getTemplate(here.templateIds.phi3);
    if (!template) throw new Error("The template does not exist");
    const { id: _, ...settings } = template;
    const other = await here.client.saveTemplate({ ...settings, name: "by-hand", dockerArgs: "sleep" });
    await here.change("phi3", { templateId: other.id });
    expect(await problems(here)).toContainEqual(
      line("phi3 template", "failed", /runs .* instead of /, /pulumi refresh.*pulumi up/),
    );
  });

  it("reports an image with a mutable tag", async () => {
    const here = await open({ api });
    await here.bump("phi3", "ghcr.io/example/phi3:latest");
    expect(await problems(here)).toContainEqual(
      line("phi3 image", "failed", /phi3:latest: the tag can move/, /tag that names one build, set phi3.imageTag/),
    );
  });

  it("warns about an image that differs from the configuration", async () => {
    const here = await open({ api });
    await here.bump("phi3", "ghcr.io/example/phi3:phi3-2026-12-01");
    expect(await problems(here)).toContainEqual(
      line(
        "phi3 image",
        "warning",
        /2026-12-01, but the configuration says .*2026-11-22/,
        /^Run "pulumi up --refresh"/,
      ),
    );
  });

  it("reports a private ECR image without registry credentials", async () => {
    const imageName = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/workers:phi3-2026-11-22";
    const here = await open({ api, template: { imageName, containerRegistryAuthId: undefined } });
    expect(await problems(here)).toContainEqual(
      line("phi3 registry", "failed", /no credentials, but the image is in private ECR/, /^Set registry/),
    );
  });

  it("warns about a leaked endpoint of the stack", async () => {
    const here = await open({ api });
    await here.change("phi3", { name: "snack-misaki-dev-llama", workersMax: 1 });
    expect(await problems(here)).toEqual([
      line(
        "leaked endpoints",
        "warning",
        /^snack-misaki-dev-llama \(\w+, workersMax 1\)$/,
        /^Delete them in RunPod's console/,
      ),
    ]);
  });

  it("warns about an endpoint that was changed manually", async () => {
    const here = await open({ api });
    await here.change("mistral", { gpuIds: ["ADA_24"], idleTimeoutSeconds: 5 });
    expect(await problems(here)).toEqual([
      line(
        "mistral drift",
        "warning",
        /^gpuIds is ADA_24, configured ADA_24,AMPERE_48; idleTimeoutSeconds is 5, configured 120$/,
        /^Run "pulumi up --refresh"/,
      ),
    ]);
  });

  it("reports a template without the ticket variables as failed", async () => {
    const here = await open({ api, template: { env: addOwnerTag({ MODEL: "phi3" }, OWNER) } });
    expect(await problems(here)).toContainEqual(
      line("phi3 drift", "failed", /the variable TICKET_JWKS is missing/, /^Run "pulumi up --refresh"/),
    );
  });
});

describe("image named by digest", () => {
  it("is compared with the configuration by its tag in ECR", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-11-22"));
    const checks = await here.report();
    expect(checks.find(({ name }) => name === "phi3 image")).toEqual({
      name: "phi3 image",
      status: "ok",
      seen: expect.stringMatching(/^phi3-2026-11-22: .*@sha256:/),
      todo: "",
    });
  });

  it("is reported when its tag differs from the configuration", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-10-01"));
    expect(await problems(here)).toEqual([
      line(
        "phi3 image",
        "warning",
        /@sha256:\w+ is phi3-2026-10-01, but the configuration says phi3-2026-11-22$/,
        /^Run "pulumi up --refresh"/,
      ),
    ]);
  });

  it("is reported as failed when ECR does not have it", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-10-01").replace(/\w{8}$/, "00000000"));
    expect(await problems(here)).toEqual([
      line(
        "phi3 image",
        "failed",
        /^the registry does not have .*: no new worker can pull it$/,
        /^Set a new phi3\.imageTag/,
      ),
    ]);
  });

  it("is reported as unknown when ECR cannot be read", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-10-01"));
    const endpoints = { ...here.target.aws.endpoints, ecr: "http://127.0.0.1:9" } as typeof here.target.aws.endpoints;
    expect(await problems(here, { aws: { ...here.target.aws, ...(endpoints && { endpoints }) } })).toContainEqual(
      line("phi3 image", "unknown", /its tags cannot be read from ECR: /, /^Sign in to AWS/),
    );
  });
});

describe("browser checks", () => {
  const directAccess = (model: Model) =>
    line(
      `${model} direct access`,
      "warning",
      new RegExp(`job API of ${model}: a guest can empty the queue, and see and cancel the jobs of others$`),
      new RegExp(`^Remove the key: pulumi config rm ${model}BrowserKey, and "pulumi up"`),
    );

  it("fail when the job API sends no CORS headers", async () => {
    const here = await open({ runpod: { cors: false } });
    const names =
      /^the job API does not allow https:\/\/dev\.snack-misaki\.example: the preflight gets 40\d; http:\/\/localhost:5173/;
    expect(await problems(here, { browserKeys })).toEqual(
      models.flatMap((model) => [
        line(`${model} CORS`, "failed", names, /put your own proxy in front of the job API/),
        directAccess(model),
      ]),
    );
  });

  it.each([
    ["of the account", keys.account, /^this is the account's key/],
    ["that reads the account", keys.readOnly, /^it also opens .*mistral$/],
    ["that also gives access to another endpoint", keys.both, /^it also opens mistral$/],
    ["of another endpoint", keys.mistral, /^its endpoint answers 401$/],
  ])("fail for a browser key %s", async (_what, key, seen) => {
    const here = await open();
    expect(await problems(here, { browserKeys: { ...browserKeys, phi3: { key } } })).toEqual(
      expect.arrayContaining([
        line("phi3 browser key", "failed", seen, /^Make a Restricted key for only the phi3 endpoint/),
      ]),
    );
  });

  it("warn about the risk of every browser key, also of a correct one", async () => {
    const here = await open();
    expect(await problems(here, { browserKeys })).toEqual(models.map(directAccess));
  });

  it("accept a missing browser key and report an unreadable key as unknown", async () => {
    const here = await open();
    const checks = await here.report({ browserKeys: { ...browserKeys, phi3: undefined, mistral: "unread" } });
    expect(checks).toContainEqual({
      name: "phi3 browser key",
      status: "ok",
      seen: "not set: browsers use the relay",
      todo: "",
    });
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([
      line("mistral browser key", "unknown", /^set, but it cannot be read here$/, /^Set MISTRAL_BROWSER_KEY/),
      directAccess("mistral"),
    ]);
  });
});
