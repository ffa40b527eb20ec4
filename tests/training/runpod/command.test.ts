import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { API_KEY } from "../../runpod/localDouble";
import { IMAGE, NAME, PodFixture } from "./fixture";
import { HUB_TOKEN, REPOSITORY } from "./hub";

let fixture: PodFixture;
beforeEach(async () => {
  fixture = await PodFixture.start();
});
afterEach(() => fixture.close());

const usual = [
  "mistral",
  "--on",
  "runpod",
  "--image",
  IMAGE,
  "--repository",
  REPOSITORY,
  "--run-name",
  "test",
  "--yes",
];

/** Starts `npm run train -- … --json` with the doubles. Calls `onLine` with each progress line. */
function train(args: string[], onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => {}) {
  const env = {
    ...process.env,
    RUNPOD_API_KEY: API_KEY,
    RUNPOD_API_URL: fixture.runpod.url,
    HF_TOKEN: HUB_TOKEN,
    HF_ENDPOINT: fixture.hub.url,
    NO_COLOR: "1",
  };
  const command = ["cli/run.cjs", "training/command/train.ts", ...args, "--json"];
  const child = spawn(process.execPath, command, { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  createInterface(child.stderr).on("line", (line) => onLine(line, (signal) => child.kill(signal)));
  return new Promise<{ status: number | null; output: Record<string, unknown> }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, output: JSON.parse(stdout) }));
  });
}

describe("npm run train -- <model> --on runpod", () => {
  it("prints only the result as JSON, and exits with 0", async () => {
    const { status, output } = await train(usual);
    expect(output).toMatchObject({ pod: NAME, repository: REPOSITORY, revision: fixture.hub.commitOf(NAME) });
    expect(output).toMatchObject({ seconds: expect.any(Number), dollars: expect.any(Number) });
    expect(status).toBe(0);
    expect(fixture.runpod.pods.all).toEqual([]);
  });

  it("prints the whole result and exits with 1 when a gate has not passed", async () => {
    fixture.runpod.switches.podFailure = "gateFailed";
    const lines: string[] = [];
    const { status, output } = await train(usual, (line) => lines.push(line));
    expect(output).toMatchObject({ pod: NAME, mayBePromoted: false, openGates: ["no-empty-reply"] });
    expect(lines.join("\n")).toContain("Not every gate has passed: no-empty-reply. See http");
    expect(status).toBe(1);
    expect(fixture.runpod.pods.all).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("ends the pod after %s, and exits with 1", async (signal) => {
    fixture.runpod.switches.podFailure = "silent";
    let signals = 0;
    const { status, output } = await train(usual, (line, kill) => {
      // A second signal must not prevent the command from deleting the pod.
      const isTime = line.includes("step 3 of 5") || line.includes("ending the pod first");
      if (isTime && ++signals <= 2) kill(signal);
    });
    expect(output).toEqual({
      error: { message: expect.stringMatching(`^Stopped by ${signal}\\. The pod ${NAME} has ended after 1 min`) },
    });
    expect(status).toBe(1);
    expect(fixture.runpod.pods.all).toEqual([]);
  });

  it.each([
    [["--image", "ghcr.io/example/training:latest"], "--image must name the image by digest: host/name@sha256:…"],
    [["--dataset", "snack/talks"], "--dataset must be owner/name@commit, with all 40 digits of the commit"],
    [["--max-hours", "lots"], "--max-hours must be a number"],
    [["--max-hours", "8"], "--max-hours allows up to 7: the sweep deletes a pod after 8 hours"],
    ...["https://user:secret@judge.example/v1", "https://judge.example/v1?key=secret"].map(
      (url): [string[], string] => [
        ["--judge-url", url, "--judge-model", "x"],
        "--judge-url must have no user, password, query or fragment: they would be in the log",
      ],
    ),
    [["--judge-url", "https://judge.example/v1"], "--judge-url and --judge-model need each other"],
    [["--judge-url", "http://judge.example/v1", "--judge-model", "x"], "--judge-url must be an https URL"],
    [["--run-name", "Run 1"], "--run-name allows up to 60 lower-case letters, digits and -"],
    [["--data", "talks.jsonl"], "--data and --base are for --on local: a pod reads its conversations from --dataset"],
  ])("refuses %j", async (args, message) => {
    const { status, output } = await train([...usual, ...args]);
    expect(output).toEqual({ error: { message } });
    expect(status).toBe(1);
    expect(fixture.environments).toEqual([]);
  });

  it("names every missing option", async () => {
    const { output } = await train(["mistral", "--on", "runpod", "--yes"]);
    expect(output).toEqual({
      error: { message: expect.stringMatching(/--image is missing.*\n--repository is missing/) },
    });
  });

  it("creates no pod without --yes when nobody can confirm", async () => {
    const { output } = await train(usual.filter((each) => each !== "--yes"));
    expect(output).toEqual({ error: { message: expect.stringMatching(/^--yes is missing/) } });
    expect(fixture.environments).toEqual([]);
  });
});

describe("npm run train -- sweep", () => {
  it("deletes the pod with the given name, prints its cost, and exits with 0", async () => {
    const pod = { image: IMAGE, args: "", disk: 1, ports: [], env: {}, registry: null, cloud: "SECURE" as const };
    const gpu = { id: "NVIDIA A40", count: 1 };
    for (const name of [NAME, `${NAME}-2`]) fixture.runpod.pods.create({ ...pod, gpu, dataCenterIds: [], name });
    const { status, output } = await train(["sweep", "--name", NAME]);
    expect(output).toMatchObject({ pods: [{ name: NAME, result: "deleted", dollars: expect.any(Number) }] });
    expect(status).toBe(0);
    expect(fixture.runpod.pods.all.map(({ name }) => name)).toEqual([`${NAME}-2`]);
  });

  it("refuses an age that is not a number", async () => {
    const { output } = await train(["sweep", "--older-than-hours", "old"]);
    expect(output).toEqual({ error: { message: "--older-than-hours old: must be a number of hours, 0 or more" } });
  });
});
