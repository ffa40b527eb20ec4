import { afterEach, describe, expect, it } from "vitest";
import { withMark } from "../../../runpod/ownerTag";
import { FakeWorker } from "../../local/runpod/fixture";
import { keys, OWNER, Ward } from "./fixture";

const DAY_MS = 86_400_000;
const PHI3 = "snack-misaki-dev-phi3";

let ward: Ward | undefined;
afterEach(async () => {
  await ward?.close();
  ward = undefined;
});
async function open(...args: Parameters<typeof Ward.open>): Promise<Ward> {
  ward = await Ward.open(...args);
  return ward;
}

/** The lines of a report that are not ok. */
async function complaints(here: Ward, ...args: Parameters<Ward["report"]>) {
  return (await here.report(...args)).filter(({ status }) => status !== "ok");
}

/** One line, as it must be. */
function line(name: string, status: "failed" | "warning", seen: RegExp, todo: RegExp) {
  return { name, status, seen: expect.stringMatching(seen), todo: expect.stringMatching(todo) };
}

const bothApis = describe.each(["graphql", "rest"] as const);

bothApis("a healthy stack through %s", (api) => {
  it("has every line, and none that is not ok", async () => {
    const here = await open({ api });
    const checks = await here.report();
    const parts = ["endpoint", "template", "image", "registry", "version", "workers", "drift", "CORS", "browser key"];
    expect(checks.map(({ name }) => name)).toEqual([
      ...["account", "key", ...(api === "graphql" ? ["registry token"] : []), "quota of workers", "leftovers"],
      ...["phi3", "mistral"].flatMap((model) => parts.map((part) => `${model} ${part}`)),
    ]);
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
  });

  it("is healthy too while RunPod loses an answer now and then, and has no worker", async () => {
    const here = await open({ api, runpod: { workersQuota: 10 } });
    here.runpod.skip(DAY_MS);
    here.runpod.switches.faults.push({ on: "*", times: 3, skip: 2, done: true, delayMs: 0, answer: "cut" });
    expect(await complaints(here)).toEqual([]);
  });

  it("is left as it was", async () => {
    const here = await open({ api });
    const before = structuredClone([here.runpod.account.endpoints, here.runpod.account.templates]);
    await here.report();
    expect([here.runpod.account.endpoints, here.runpod.account.templates]).toEqual(before);
    expect(here.runpod.account.registryAuths).toHaveLength(1);
  });
});

bothApis("what is wrong with the workers is named through %s:", (api) => {
  const tag = api === "rest" ? "ghcr.io/example/phi3:2026-12-01" : undefined;

  it("they crash", async () => {
    const here = await open({ api, before: ({ switches }) => switches.crashing.push(PHI3) });
    expect(await complaints(here)).toEqual([
      line(
        "phi3 workers",
        "failed",
        /^crash loop: workers of version 1: 0 ready, 1 crashing; .*exit code 1/,
        /^They crash: read a worker's log/,
      ),
    ]);
  });

  it("there is no GPU for them", async () => {
    const here = await open({ api });
    here.runpod.switches.noCapacity.push(PHI3);
    await here.bump("phi3", tag);
    expect(await complaints(here)).toContainEqual(
      line("phi3 workers", "failed", /0 ready, 1 waiting for a GPU/, /throttled\): name more GPU pools/),
    );
  });

  it("their image cannot be pulled", async () => {
    const here = await open({ api, before: ({ switches }) => switches.unpullable.push("*phi3*") });
    expect(await complaints(here)).toEqual([
      line(
        "phi3 workers",
        "failed",
        /1 starting; a host says: cannot pull its image: failed to pull .*phi3/,
        /image cannot be pulled: check its name/,
      ),
    ]);
  });

  it("they start for longer than RunPod lets them", async () => {
    const never = { exited: new Promise<undefined>(() => {}), stop: async () => {} };
    const here = await open({ api, runpod: { startWorker: () => never } });
    here.runpod.skip(DAY_MS / 24 / 3);
    expect(await complaints(here)).toContainEqual(
      line("phi3 workers", "failed", /1 starting, for 20 minutes$/, /^Read the worker's log in RunPod's console/),
    );
  });

  it("they start for a while yet", async () => {
    const here = await open({ api, before: ({ switches }) => Object.assign(switches, { coldStartMs: 60_000 }) });
    expect(await complaints(here)).toEqual([
      line("phi3 workers", "warning", /0 ready, 1 starting/, /^Look again in some minutes/),
      line("mistral workers", "warning", /0 ready, 1 starting/, /^Look again in some minutes/),
    ]);
  });

  it("the registry's credential has expired", async () => {
    const here = await open({ api });
    if (api === "graphql") here.runpod.skip(DAY_MS / 2);
    else for (const { id } of here.runpod.account.registryAuths) here.runpod.account.registries.expire(id);
    await here.bump("phi3", tag);
    const renew =
      api === "graphql"
        ? /aws lambda invoke --function-name snack-misaki-dev-registryRefresh/
        : /^Make a new token, then: pulumi config set --secret registryToken/;
    expect(await complaints(here)).toEqual(
      expect.arrayContaining([
        line(
          "phi3 registry",
          "failed",
          /does not take snack-misaki-dev-registry: .*authorization token has expired/,
          renew,
        ),
        line("phi3 workers", "failed", /token has expired/, /registry credentials are still good/),
      ]),
    );
  });

  it("RunPod has taken them away after a week without a request", async () => {
    const here = await open({ api });
    here.runpod.skip(8 * DAY_MS);
    const lines = await complaints(here);
    expect(lines).toEqual(
      expect.arrayContaining([
        line(
          "phi3 drift",
          "failed",
          /^workersMax is 0, configured 3: RunPod does so after 7 days/,
          /^Run "pulumi up --refresh"/,
        ),
        line("mistral drift", "failed", /^workersMax is 0, configured 2/, /^Run "pulumi up --refresh"/),
      ]),
    );
    expect(lines).toContainEqual(line("phi3 workers", "failed", /^none, and workersMax is 0/, /pulumi up --refresh/));
  });

  it("RunPod has taken some of them after three days", async () => {
    const here = await open({ api });
    here.runpod.skip(4 * DAY_MS);
    expect(await complaints(here)).toContainEqual(
      line(
        "phi3 drift",
        "warning",
        /^workersMax is 2, configured 3: RunPod does so after 3 days/,
        /^Run "pulumi up --refresh"/,
      ),
    );
  });
});

it("a rollout that waits for a busy worker is no fault, but to be seen", async () => {
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
  expect(await complaints(here)).toContainEqual(
    line("phi3 version", "warning", /^1 of 2 workers on version 2$/, /^Wait: old workers end when their jobs are done/),
  );
});

bothApis("what is wrong with the account is named through %s:", (api) => {
  it("the key only reads", async () => {
    const here = await open({ api });
    const [key, ...others] = await complaints(here, { apiKey: keys.readOnly });
    expect(key).toEqual(
      line(
        "key",
        "failed",
        /^reads, but may not change endpoints, .*: a read-only or restricted key/,
        /key with All permissions/,
      ),
    );
    expect(others).toEqual([]);
  });

  it.each([
    ["is restricted to an endpoint", keys.phi3],
    ["is not known", "rpa_CANARY_NOBODY"],
  ])("the key %s, in one line", async (_what, apiKey) => {
    const here = await open({ api });
    expect(await here.report({ apiKey })).toEqual([
      line("key", "failed", /RunPod refused .*the API key/, /pulumi config set --secret runpodApiKey/),
    ]);
  });

  it("RunPod cannot be reached, in one line", async () => {
    const here = await open({ api });
    const config = { ...here.patient.config, runpodApiUrl: "http://127.0.0.1:9" };
    expect(await here.report({ config })).toEqual([
      line(
        "RunPod",
        "failed",
        /^http:\/\/127.0.0.1:9 cannot be reached: RunPod did not answer/,
        /network and runpodApiUrl/,
      ),
    ]);
  });

  it("the quota of workers has no room for what is configured", async () => {
    const here = await open({ api, config: { runpodWorkerQuota: 5, "phi3.workersMax": 4 } });
    expect(await complaints(here)).toEqual([
      line(
        "quota of workers",
        "failed",
        /^6 asked for \(.*phi3 4, .*mistral 2\), but the account may have 5/,
        /^Lower workersMax/,
      ),
    ]);
  });
});

it("the quota that RunPod tells is taken where none is configured", async () => {
  const here = await open({
    runpod: { workersQuota: 5 },
    endpoint: { workersMax: 1 },
    config: { "phi3.workersMax": 4 },
  });
  expect(await complaints(here)).toContainEqual(
    line("quota of workers", "failed", /^6 asked for .*, but the account may have 5/, /^Lower workersMax/),
  );
});

it("one part of the account that cannot be read is said, and the rest is looked at all the same", async () => {
  const here = await open({ api: "rest" });
  const on = "GET /v2/registries";
  here.runpod.switches.faults.push({ on, times: 4, skip: 0, done: false, delayMs: 0, answer: 500 });
  const checks = await here.report();
  expect(checks).toContainEqual(
    line("key", "failed", /^cannot read credentials\..*try again later/, /^Try again in some minutes/),
  );
  expect(checks.filter(({ status }) => status === "ok")).toHaveLength(19);
});

bothApis("what is wrong with what was deployed is named through %s:", (api) => {
  it("an endpoint is gone", async () => {
    const here = await open({ api });
    await here.change("phi3", { workersMin: 0, workersMax: 0 });
    await here.client.deleteEndpoint(here.endpointIds.phi3);
    expect(await complaints(here)).toContainEqual(
      line(
        "phi3 endpoint",
        "failed",
        /^RunPod has no endpoint named snack-misaki-dev-phi3$/,
        /pulumi refresh.*pulumi up/,
      ),
    );
  });

  it("it was made by another stack", async () => {
    const here = await open({ api });
    const lines = await complaints(here, { owner: "snack-misaki/prod" });
    expect(lines).toContainEqual(
      line("phi3 endpoint", "failed", /is there, but made by snack-misaki\/dev$/, /pulumi up/),
    );
    expect(lines).toContainEqual(
      line("phi3 template", "failed", /is there, but made by snack-misaki\/dev$/, /^Delete or rename/),
    );
  });

  it("an endpoint runs another template than its own", async () => {
    const here = await open({ api });
    const template = await here.client.getTemplate(here.templateIds.phi3);
    if (!template) throw new Error("no template");
    const { id: _, ...settings } = template;
    const other = await here.client.saveTemplate({ ...settings, name: "by-hand", dockerArgs: "sleep" });
    await here.change("phi3", { templateId: other.id });
    expect(await complaints(here)).toContainEqual(
      line("phi3 template", "failed", /does not run .* but /, /pulumi refresh.*pulumi up/),
    );
  });

  it("an image has a tag that moves", async () => {
    const here = await open({ api });
    await here.bump("phi3", "ghcr.io/example/phi3:latest");
    expect(await complaints(here)).toContainEqual(
      line("phi3 image", "failed", /phi3:latest: the tag is mutable/, /tag that names one build, set phi3.imageTag/),
    );
  });

  it("an image is another than the configured one", async () => {
    const here = await open({ api });
    await here.bump("phi3", "ghcr.io/example/phi3:phi3-2026-12-01");
    expect(await complaints(here)).toContainEqual(
      line("phi3 image", "warning", /2026-12-01, but configured is .*2026-11-22/, /^Run "pulumi up"/),
    );
  });

  it("an image in private ECR has nothing to be pulled with", async () => {
    const imageName = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/workers:phi3-2026-11-22";
    const here = await open({ api, template: { imageName, containerRegistryAuthId: undefined } });
    expect(await complaints(here)).toContainEqual(
      line("phi3 registry", "failed", /no credential, but the image is in private ECR/, /^Set registry/),
    );
  });

  it("an endpoint of the stack is none of its program", async () => {
    const here = await open({ api });
    await here.change("phi3", { name: "snack-misaki-dev-llama", workersMax: 1 });
    expect(await complaints(here)).toEqual([
      line(
        "leftovers",
        "warning",
        /^snack-misaki-dev-llama \(\w+, workersMax 1\)$/,
        /^Delete them in RunPod's console/,
      ),
    ]);
  });

  it("somebody has changed it by hand", async () => {
    const here = await open({ api });
    await here.change("mistral", { gpuIds: ["ADA_24"], idleTimeoutSeconds: 5 });
    expect(await complaints(here)).toEqual([
      line(
        "mistral drift",
        "warning",
        /^gpuIds is ADA_24, configured ADA_24,AMPERE_48; idleTimeoutSeconds is 5, configured 120$/,
        /^Run "pulumi up --refresh"/,
      ),
    ]);
  });

  it("its environment has lost what tickets are checked with", async () => {
    const here = await open({ api, template: { env: withMark({ MODEL: "phi3" }, OWNER) } });
    expect(await complaints(here)).toContainEqual(
      line("phi3 drift", "failed", /the variable TICKET_JWKS is missing/, /^Run "pulumi up --refresh"/),
    );
  });
});

describe("an image that is named by its digest", () => {
  it("is known by its tag in ECR", async () => {
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

  it("is named where its tag is another than the configured one", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-10-01"));
    expect(await complaints(here)).toEqual([
      line(
        "phi3 image",
        "warning",
        /@sha256:\w+ is phi3-2026-10-01, but configured is phi3-2026-11-22$/,
        /^Run "pulumi up"/,
      ),
    ]);
  });

  it("is taken for right where ECR does not tell", async () => {
    const here = await open();
    await here.bump("phi3", here.pushed("phi3", "2026-10-01").replace(/\w{8}$/, "00000000"));
    expect(await complaints(here)).toEqual([]);
  });
});

describe("the registry's token", () => {
  const run =
    /^Read the log of snack-misaki-dev-registryRefresh, .*aws lambda invoke --function-name snack-misaki-dev-registryRefresh/;

  it.each([
    [8, line("registry token", "warning", /^renewed 8\.0 hours ago, dies in 4\.0$/, run)],
    [15, line("registry token", "failed", /^it died 3\.0 hours ago: no new worker can pull an image$/, run)],
  ])("that was renewed %i hours ago is named before a worker needs it", async (hoursAgo, expected) => {
    const here = await open();
    here.renewToken(hoursAgo);
    expect(await complaints(here)).toEqual([expected]);
  });

  it("that nothing renews, or whose age AWS does not tell, is named too", async () => {
    const here = await open();
    here.forgetToken();
    expect(await complaints(here)).toEqual([
      line(
        "registry token",
        "failed",
        /^nothing renews it: AWS has no parameter \/snack-misaki\/dev\//,
        /^Run "pulumi up"/,
      ),
    ]);
    const nowhere = "http://127.0.0.1:9";
    const aws = { ...here.patient.aws, endpoints: { ssm: nowhere, ecr: nowhere } };
    expect(await complaints(here, { aws })).toEqual([
      line("registry token", "warning", /^its age cannot be read from AWS: /, /^Sign in to AWS/),
    ]);
  });
});

describe("what is wrong for browsers is named:", () => {
  it("the job API sends no CORS headers", async () => {
    const here = await open({ runpod: { cors: false } });
    const names =
      /^the job API does not allow https:\/\/dev\.snack-misaki\.example: the preflight is answered 40\d; http:\/\/localhost:5173/;
    expect(await complaints(here)).toEqual([
      line("phi3 CORS", "failed", names, /put a proxy of your own before the job API/),
      line("mistral CORS", "failed", names, /put a proxy of your own before the job API/),
    ]);
  });

  it.each([
    ["is the account's", keys.account, /^it is the account's own key/],
    ["may look at the account", keys.readOnly, /^it opens mistral too$/],
    ["opens another endpoint too", keys.both, /^it opens mistral too$/],
    ["is the one of another endpoint", keys.mistral, /^its endpoint answers 401 to it$/],
  ])("a key %s", async (_what, key, seen) => {
    const here = await open();
    expect(await complaints(here, { browserKeys: { ...here.patient.browserKeys, phi3: { key } } })).toEqual(
      expect.arrayContaining([
        line("phi3 browser key", "failed", seen, /^Make a Restricted key for the phi3 endpoint alone/),
      ]),
    );
  });

  it("there is none, or it cannot be read here", async () => {
    const here = await open();
    expect(await complaints(here, { browserKeys: { phi3: undefined, mistral: "unread" } })).toEqual([
      line(
        "phi3 browser key",
        "failed",
        /^none: the session sends nobody to phi3$/,
        /pulumi config set --secret phi3BrowserKey/,
      ),
      line("mistral browser key", "warning", /^set, but not to be read here$/, /^Set MISTRAL_BROWSER_KEY/),
    ]);
  });
});
