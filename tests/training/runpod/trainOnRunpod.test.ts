import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { podApi } from "../../../runpod/rest/pods";
import { setRetryPolicy } from "../../../runpod/retry";
import { estimate } from "../../../training/command/runpod/estimate";
import { JUDGE_SECRET, limits } from "../../../training/command/runpod/trainOnRunpod";
import { API_KEY } from "../../runpod/localDouble";
import { NAME, PodFixture } from "./fixture";
import { HUB_TOKEN, REPOSITORY } from "./hub";

let fixture: PodFixture;
beforeEach(async () => {
  setRetryPolicy({ intervalMs: 20, limitMs: 1_000 });
  fixture = await PodFixture.start();
});
afterEach(async () => {
  setRetryPolicy({ intervalMs: 500, limitMs: 10_000 });
  await fixture.close();
});

const podsLeft = () => fixture.runpod.pods.all.map(({ name }) => name);

describe("A training on a pod", () => {
  it("streams the log, returns repository and commit of the result, and ends the pod", async () => {
    fixture.runpod.switches.podStepMs = 300;
    const result = await fixture.train();
    expect(result).toMatchObject({
      model: "mistral",
      pod: NAME,
      gpuType: "NVIDIA GeForce RTX 4090",
      repository: REPOSITORY,
      revision: fixture.hub.commitOf(NAME),
      steps: 3,
      lossFirst: 5.75,
      lossLast: 5.25,
      mayBePromoted: true,
      openGates: [],
      gates: { passed: 20, failed: 0, notMeasured: 1, notJudged: 0 },
      report: `${fixture.hub.url}/${REPOSITORY}/blob/${fixture.hub.commitOf(NAME)}/report/report.html`,
      next: `npm run train -- propose mistral ${REPOSITORY} ${fixture.hub.commitOf(NAME)}`,
    });
    expect(fixture.lines).toContain("step 1 of 5: loss 5.750");
    expect(podsLeft()).toEqual([]);
  });

  it("prints the expected time and cost first, and creates no pod when the operator does not confirm", async () => {
    const confirm = async () => {
      expect(fixture.runpod.pods.all).toEqual([]);
      expect(fixture.lines.join()).toMatch(/about [\d.]+ h and \$[\d.]+ on one NVIDIA GeForce RTX 4090 at \$0\.60\/h/);
      expect(fixture.lines.join()).toContain("at most $0.60 within 1 h");
      return false;
    };
    await expect(fixture.train({}, {}, { confirm })).rejects.toThrow("Stopped: no pod was created");
    expect(fixture.environments).toEqual([]);
  });

  it("allows a new host more than an hour to pull the image, and includes this time in the estimate", () => {
    expect(limits.startMs).toBeGreaterThan(3_600_000);
    const offer = { id: "NVIDIA A40", memory: 48, price: 1, availability: "HIGH" };
    const { hours } = estimate(offer, { model: "phi3", bytes: 0, epochs: 3, maxHours: 6 });
    expect(hours * 3_600_000).toBeGreaterThan(limits.startMs);
  });

  it("creates the pod without SSH, by digest, and with references to secrets instead of their values", async () => {
    fixture.runpod.switches.podStepMs = 200;
    const training = fixture.train();
    await expect.poll(() => fixture.runpod.pods.all.length).toBe(1);
    const [pod] = fixture.runpod.pods.all;
    expect(pod?.image).toMatch(/@sha256:[0-9a-f]{64}$/);
    expect(pod?.ports).toEqual([]);
    expect(pod?.env).toEqual({
      HF_TOKEN: "{{ RUNPOD_SECRET_snack_misaki_training_hf_token }}",
      MODEL: "mistral",
      RESULT_REPOSITORY: REPOSITORY,
      RUN_NAME: NAME,
    });
    await training;
    expect(fixture.environments[0]?.HF_TOKEN).toBe("hf_SECRET_OF_THE_POD");
    expect(fixture.lines.join("\n")).not.toMatch(new RegExp(`${API_KEY}|${HUB_TOKEN}|hf_SECRET`));
  });

  it("gives the pod the judge's address, and a reference to its key", async () => {
    fixture.runpod.account.secrets.create({ name: JUDGE_SECRET, value: "judge_SECRET_OF_THE_POD" });
    const judge = { url: "https://judge.example/v1", model: "judge-1" };
    expect((await fixture.train({ judge })).gates).toMatchObject({ passed: 21, notMeasured: 0 });
    expect(fixture.environments[0]).toMatchObject({
      JUDGE_URL: judge.url,
      JUDGE_MODEL: judge.model,
      JUDGE_API_KEY: "judge_SECRET_OF_THE_POD",
    });
    expect(fixture.lines.join("\n")).not.toContain("judge_SECRET");
  });

  it("returns a candidate that failed a gate without the next command, and ends the pod", async () => {
    fixture.runpod.switches.podFailure = "gateFailed";
    const result = await fixture.train();
    expect(result).toMatchObject({ mayBePromoted: false, openGates: ["no-empty-reply"], gates: { failed: 1 } });
    expect(result.next).toBeUndefined();
    expect(podsLeft()).toEqual([]);
  });

  it("uses the next GPU type when the first type has no capacity during the create", async () => {
    fixture.fault("POST /v2/pods", {
      message: "There are no longer any instances available with the requested specifications.",
    });
    expect((await fixture.train()).gpuType).toBe("NVIDIA A40");
    expect(podsLeft()).toEqual([]);
  });

  it("uses only GPU types that RunPod has in stock", async () => {
    fixture.runpod.switches.noCapacity = ["NVIDIA GeForce RTX 4090"];
    expect((await fixture.train()).gpuType).toBe("NVIDIA A40");
  });

  it("adopts the pod of a create that answered 500 after it created the pod", async () => {
    fixture.fault("POST /v2/pods", 500, { done: true });
    await fixture.train();
    expect(fixture.environments).toHaveLength(1);
    expect(podsLeft()).toEqual([]);
  });

  it("adopts the pod of a create that answered after the timeout", async () => {
    fixture.fault("POST /v2/pods", "pass", { delayMs: 900 });
    fixture.runpod.switches.podStepMs = 400;
    await fixture.train({}, { settle: { intervalMs: 50, limitMs: 2_000 } }, { timeoutMs: 500 });
    expect(fixture.environments).toHaveLength(1);
    expect(podsLeft()).toEqual([]);
  });

  it("reads all pages of the list of pods before it reports that no pod is left", async () => {
    for (const runName of ["a", "b", "c"]) {
      const settings = { imageName: "example/image:1", diskGb: 50, env: {}, minCudaVersion: "13.0" };
      const other = { ...settings, name: `other-${runName}`, gpuType: "NVIDIA A40", registryAuthId: undefined };
      await podApi({ apiKey: API_KEY, url: fixture.runpod.url }).createPod(other);
    }
    fixture.fault("POST /v2/pods", 500, { done: true });
    await fixture.train();
    expect(podsLeft().sort()).toEqual(["other-a", "other-b", "other-c"]);
  });

  it("repeats the delete until it succeeds", async () => {
    fixture.fault("DELETE /v2/pods/*", 500, { times: 8 });
    await fixture.train({}, {}, {});
    expect(podsLeft()).toEqual([]);
  });

  it("waits for a pod that starts slowly", async () => {
    fixture.runpod.switches.podStartMs = 700;
    await fixture.train();
    expect(fixture.lines).toEqual(expect.arrayContaining(["pod: PROVISIONING", "pod: RUNNING"]));
  });

  it("finds the result although the log was interrupted", async () => {
    fixture.runpod.switches.podLogLines = 4;
    fixture.runpod.switches.podStepMs = 300;
    const result = await fixture.train();
    expect(result.revision).toBe(fixture.hub.commitOf(NAME));
    expect(fixture.lines).toContain("The log was cut. The training goes on; the command connects again.");
    expect(podsLeft()).toEqual([]);
  });

  it("runs beside another training of the same model", async () => {
    const [first, second] = await Promise.all([fixture.train(), fixture.train({ runName: "other" })]);
    expect(first?.revision).not.toBe(second?.revision);
    expect(podsLeft()).toEqual([]);
  });

  it("reports a deleted pod as ended even if a slow list still contains the pod", async () => {
    fixture.runpod.switches.listLagMs = 2_000;
    await fixture.train();
    expect(podsLeft()).toEqual([]);
  });
});

describe("A failed training", () => {
  const ended = `The pod ${NAME} has ended after 1 min and cost about $`;
  const failsWith = async (training: Promise<unknown>, cause: string, fate = ended) => {
    const error = await training.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(String(error)).toContain(`Error: ${cause}`);
    expect(String(error)).toContain(`. ${fate}`);
    expect(podsLeft()).toEqual([]);
  };

  it("ends the pod and reports missing capacity", async () => {
    const message = "There are no longer any instances available with the requested specifications.";
    fixture.fault("POST /v2/pods", { message }, { times: 2 });
    await failsWith(
      fixture.train(),
      `RunPod refused every GPU type (NVIDIA GeForce RTX 4090, NVIDIA A40): ${message.slice(0, -1)}`,
      `No pod named ${NAME} is left.`,
    );
  });

  it.each([
    ["killed", "RunPod has ended the pod before its result was uploaded (EXITED)"],
    ["diskFull", "The training failed: [Errno 28] No space left on device"],
    ["restarted", "RunPod has started the container again, so its program was killed (memory or host)"],
  ] as const)("ends the pod and reports the container's failure %s", async (failure, cause) => {
    fixture.runpod.switches.podFailure = failure;
    await failsWith(fixture.train(), cause);
  });

  it("ends the pod and reports that the gates were not applied", async () => {
    fixture.runpod.switches.podFailure = "gatesKilled";
    const error = await fixture.train().catch(String);
    expect(error).toContain(
      `The candidate ${REPOSITORY}@${fixture.hub.commitOf(NAME)} has no report: the log says why its gates were not applied. ` +
        "Download the candidate, then run the steps measure, compare and gate of docs/training.md",
    );
    expect(podsLeft()).toEqual([]);
  });

  it("ends the pod and leaves no tag when the upload fails", async () => {
    fixture.runpod.switches.podFailure = "uploadFailed";
    await failsWith(fixture.train(), "The training failed: 503 Server Error: Service Unavailable for url");
    expect(fixture.hub.commitOf(NAME)).toBeUndefined();
  });

  it("leaves no pod when RunPod's rate limit refuses every create", async () => {
    fixture.fault("POST /v2/pods", 429, { times: 100 });
    await failsWith(fixture.train(), "RunPod", `No pod named ${NAME} is left.`);
  });

  it("ends the pod although RunPod first answers the deletes with 429 and 500", async () => {
    fixture.runpod.switches.podFailure = "diskFull";
    fixture.fault("DELETE /v2/pods/*", 429, { times: 3, retryAfterSeconds: 0 });
    fixture.fault("DELETE /v2/pods/*", 500, { times: 8 });
    await failsWith(fixture.train(), "The training failed: [Errno 28] No space left on device");
  });

  it("reports that another program has deleted the pod", async () => {
    fixture.runpod.switches.podStepMs = 10_000;
    const training = fixture.train();
    training.catch(() => {});
    await expect.poll(() => fixture.lines).toContain("pod: RUNNING");
    for (const { id } of fixture.runpod.pods.all) fixture.runpod.pods.remove(id);
    await failsWith(training, "RunPod has ended the pod before its result was uploaded (deleted)");
  });

  it("ends the pod and reports that it never started", async () => {
    fixture.runpod.switches.unpullable = ["*"];
    await failsWith(fixture.train({}, { startMs: 600 }), "The pod has not started within 0 min (STARTING)");
    expect(fixture.lines.join("\n")).toContain("host: failed to pull");
  });

  it("ends the pod and reports the time limit", async () => {
    fixture.runpod.switches.podFailure = "silent";
    await failsWith(fixture.train({ maxHours: 0.0005 }), "The time limit of 0.0005 h is over");
  });

  it("ends the pod and reports the stop by the operator", async () => {
    const stop = new AbortController();
    fixture.runpod.switches.podFailure = "silent";
    const training = fixture.train({}, {}, { signal: stop.signal });
    training.catch(() => {});
    await expect.poll(() => fixture.lines).toContain("step 3 of 5: loss 5.250");
    stop.abort(new Error("Stopped by SIGINT"));
    await failsWith(training, "Stopped by SIGINT");
  });

  it("ends the pod when the operator stops the command while RunPod creates the pod", async () => {
    const stop = new AbortController();
    fixture.fault("POST /v2/pods", "pass", { delayMs: 500 });
    const training = fixture.train({}, {}, { signal: stop.signal });
    training.catch(() => {});
    await expect.poll(() => fixture.lines.length).toBe(1);
    stop.abort(new Error("Stopped by SIGINT"));
    await failsWith(training, "Stopped by SIGINT");
  });

  it("ends the pod when a create without a response takes effect later", async () => {
    setRetryPolicy({ intervalMs: 20, limitMs: 0 });
    fixture.fault("POST /v2/pods", "cut", { done: true, landsAfterMs: 1_500 });
    await failsWith(
      fixture.train(),
      "RunPod did not answer createPod: other side closed (tried once)",
      `No pod named ${NAME} is left.`,
    );
    expect(fixture.environments).toHaveLength(1);
  });

  it("reports a network failure, and ends the pod as soon as RunPod answers again", async () => {
    fixture.runpod.switches.podFailure = "silent";
    const training = fixture.train({}, { lostMs: 300 });
    training.catch(() => {});
    await expect.poll(() => fixture.lines).toContain("step 3 of 5: loss 5.250");
    fixture.fault("* /v2/pods*", "cut", { times: 30 });
    await failsWith(
      training,
      "RunPod has not answered for 0 min: RunPod did not answer getPod: other side closed (tried",
    );
  });
});

describe("A training creates no pod", () => {
  const refuses = async (training: Promise<unknown>, message: string) => {
    await expect(training).rejects.toThrow(message);
    expect(fixture.environments).toEqual([]);
  };

  it("without the secret in the RunPod account", async () => {
    for (const { id } of fixture.runpod.account.secrets.all) fixture.runpod.account.secrets.remove(id);
    await refuses(fixture.train(), "RunPod has no secret snack_misaki_training_hf_token: create it");
  });

  it("without the secret of the judge", async () => {
    const judge = { url: "https://judge.example/v1", model: "judge-1" };
    await refuses(fixture.train({ judge }), `RunPod has no secret ${JUDGE_SECRET}: create it`);
  });

  it("while the pod of another run has the same name, and leaves that pod alone", async () => {
    fixture.startPod(NAME, 1);
    await expect(fixture.train()).rejects.toThrow(`The pod ${NAME} already runs: choose another --run-name`);
    expect(podsLeft()).toEqual([NAME]);
  });

  it("with a public repository", async () => {
    fixture.hub.isPrivate = false;
    await refuses(fixture.train(), `--repository ${REPOSITORY}: is public. A retrained model must be private`);
  });

  it("with a repository that the token cannot read", () =>
    refuses(fixture.train({ repository: "snack/other" }), "--repository snack/other: not found at Hugging Face"));

  it("with a data set without a licence", async () => {
    fixture.hub.datasets.set("snack/talks", [{ path: "talks.jsonl", size: 1_000 }]);
    const dataset = { repository: "snack/talks", revision: "c".repeat(40) };
    await refuses(fixture.train({ dataset }), "talks.jsonl has no .license.json beside it");
  });

  it("when every GPU type is out of stock", async () => {
    fixture.runpod.switches.noCapacity = ["NVIDIA*"];
    await refuses(fixture.train(), "RunPod has no free NVIDIA GeForce RTX 4090, NVIDIA A40 at present");
  });

  it("when the repository already has the result of a run with this name", async () => {
    fixture.hub.upload(REPOSITORY, NAME);
    await refuses(fixture.train(), `${REPOSITORY} already has the result of ${NAME}`);
  });
});
