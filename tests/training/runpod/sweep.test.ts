import { afterEach, beforeEach, expect, it } from "vitest";
import { podApi } from "../../../runpod/rest/pods";
import { setRetryPolicy } from "../../../runpod/retry";
import { sweep } from "../../../training/command/runpod/sweep";
import { API_KEY } from "../../runpod/localDouble";
import { PodFixture } from "./fixture";

let fixture: PodFixture;
beforeEach(async () => {
  setRetryPolicy({ intervalMs: 20, limitMs: 500 });
  fixture = await PodFixture.start();
});
afterEach(async () => {
  setRetryPolicy({ intervalMs: 500, limitMs: 10_000 });
  await fixture.close();
});

const api = () => podApi({ apiKey: API_KEY, url: fixture.runpod.url });
const names = () => fixture.runpod.pods.all.map(({ name }) => name).sort();

const pod = (name: string, hours: number) => fixture.startPod(name, hours);

it("sweep deletes the old pods of trainings, keeps the new ones, and changes no other pod", async () => {
  pod("snack-misaki-train-phi3-old", 9);
  pod("snack-misaki-train-phi3-young", 2);
  pod("my-snack-misaki-train-phi3", 100);
  pod("snack-misaki-training", 100);
  pod("notebook", 100);
  const swept = await sweep(api(), { olderThanHours: 8 });
  expect(swept.map(({ name, result }) => [name, result]).sort()).toEqual([
    ["snack-misaki-train-phi3-old", "deleted"],
    ["snack-misaki-train-phi3-young", "young"],
  ]);
  expect(names()).toEqual([
    "my-snack-misaki-train-phi3",
    "notebook",
    "snack-misaki-train-phi3-young",
    "snack-misaki-training",
  ]);
});

it("sweep reports each pod's cost up to now", async () => {
  pod("snack-misaki-train-phi3-old", 10);
  const api_ = api();
  await expect.poll(() => fixture.runpod.pods.all[0]?.status).toBe("RUNNING");
  const created = fixture.runpod.pods.all[0];
  if (created) created.startedAt = new Date(Date.now() - 10 * 3_600_000).toISOString();
  const [swept] = await sweep(api_, { olderThanHours: 0 });
  // A GPU with 48 GB costs $1.20 per hour in the double.
  expect(swept).toMatchObject({ hours: 10, dollars: 12 });
});

it("sweep reports a failure for a pod that RunPod does not delete, and deletes all other pods", async () => {
  for (const name of ["a", "b"]) pod(`snack-misaki-train-phi3-${name}`, 9);
  const [first] = fixture.runpod.pods.all;
  const fault = { times: 100, skip: 0, done: false, delayMs: 0, answer: 500 };
  fixture.runpod.switches.faults.push({ ...fault, on: `DELETE /v2/pods/${first?.id}` });
  const swept = await sweep(api(), { olderThanHours: 8 });
  expect(swept.find(({ id }) => id === first?.id)).toMatchObject({
    result: "failed",
    problem: expect.stringContaining("RunPod could not do deletePod"),
  });
  expect(names()).toEqual([first?.name]);
});

it("sweep refuses a pod name that does not belong to a training", async () => {
  pod("notebook", 1);
  await expect(sweep(api(), { name: "notebook" })).rejects.toThrow("--name must begin with snack-misaki-train-");
  expect(names()).toEqual(["notebook"]);
});

it("sweep fails when RunPod's list cannot be read", async () => {
  fixture.fault("GET /v2/pods", 500, { times: 100 });
  await expect(sweep(api(), { olderThanHours: 8 })).rejects.toThrow("RunPod could not do list pods");
});
