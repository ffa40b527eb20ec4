import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunpodFixture } from "./fixture";

// Source: RunPod's OpenAPI document of REST v2, September 2026 (runpod/typescript-api-sdk, src/generated/schema.ts).

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
});
afterEach(() => runpod.dispose());

const body = { name: "train", image: "registry.example/phi3:1.0.0", disk: 50, gpu: { id: "NVIDIA A40" } };
const create = (changes: object = {}) => runpod.restJson("POST /pods", { ...body, ...changes });
const refusal = async (call: string, sent?: object) => {
  const response = await runpod.rest(call, sent);
  return { status: response.status, ...((await response.json()) as { detail: string; errors?: string[] }) };
};

describe("REST v2 pods", () => {
  it("return all required fields when created, and start later", async () => {
    runpod.double.switches.podStartMs = 100;
    const pod = await create();
    expect(pod).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{14}$/),
      name: "train",
      image: body.image,
      args: "",
      disk: 50,
      ports: [],
      env: {},
      registry: null,
      status: "PROVISIONING",
      actions: ["stop", "terminate"],
      mounts: {},
      gpu: { id: "NVIDIA A40", count: 1, vcpuCount: 16, memory: 64 },
      cloud: "SECURE",
      dataCenterId: "US-KS-2",
      cudaVersion: null,
      ssh: { proxy: null, direct: null },
      template: null,
      cost: 1.2,
      locked: false,
      globalNetworking: { enabled: false },
      runtime: null,
      createdAt: expect.any(String),
      startedAt: null,
    });
    await expect.poll(async () => (await runpod.restJson(`GET /pods/${pod.id}`)).status).toBe("RUNNING");
  });

  it("can share a name, and appear in the paged list, newest first", async () => {
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.push((await create()).id);
    const first = await runpod.restJson("GET /pods");
    const second = await runpod.restJson(`GET /pods?cursor=${first.pagination.nextCursor}`);
    expect([...first.pods, ...second.pods].map(({ id }: { id: string }) => id)).toEqual(ids.reverse());
    expect(first.pagination.hasNextPage).toBe(true);
  });

  it("no longer exist after their termination", async () => {
    const { id } = await create();
    expect((await runpod.rest(`DELETE /pods/${id}`)).status).toBe(204);
    expect(await refusal(`GET /pods/${id}`)).toMatchObject({ status: 404, detail: "pod not found" });
    expect((await runpod.rest(`DELETE /pods/${id}`)).status).toBe(404);
    expect(await runpod.restJson("GET /pods")).toMatchObject({ pods: [] });
  });

  it.each([
    [{ sshKeys: [] }, 422, "$: additional properties 'sshKeys' not allowed"],
    [{ image: undefined }, 422, "$: missing property 'image'"],
    [{ gpu: { id: "NVIDIA A40", count: 0 } }, 422, "$.gpu.count"],
    [{ gpu: undefined }, 400, "exactly one of gpu or cpu must be set"],
    [{ cpu: { id: "cpu3c", vcpuCount: 2 } }, 400, "exactly one of gpu or cpu must be set"],
    [{ gpu: { id: "RTX 4090" } }, 400, "gpu type RTX 4090 not found"],
    [{ gpu: { id: "NVIDIA A40", minCudaVersion: "13.0", allowedCudaVersions: ["13.0"] } }, 400, "mutually exclusive"],
    [{ image: "registry.example/missing:1" }, 422, "manifest unknown"],
    [{ registry: "none" }, 404, "registry not found"],
  ])("refuse the input %j with the status %i", async (changes, status, text) => {
    const problem = await refusal("POST /pods", { ...body, ...changes });
    expect(problem.status).toBe(status);
    expect(`${problem.detail} ${problem.errors}`).toContain(text);
  });

  it.each(["NVIDIA A40", "train"])(
    "are refused with 400, like an invalid request, when %s has no capacity",
    async (name) => {
      runpod.double.switches.noCapacity = [name];
      expect(await refusal("POST /pods", body)).toMatchObject({
        status: 400,
        detail: "There are no longer any instances available with the requested specifications.",
      });
    },
  );

  it("cost nothing after the host has killed their container", async () => {
    Object.assign(runpod.double.switches, { podFailure: "killed", podStepMs: 0 });
    runpod.double.account.secrets.create({ name: "token", value: "hf" });
    const { id } = await create({ env: { HF_TOKEN: "{{ RUNPOD_SECRET_token }}" } });
    await expect.poll(() => runpod.restJson(`GET /pods/${id}`)).toMatchObject({ status: "EXITED", cost: 0 });
  });

  it("stream the lines of container and host as server-sent events", async () => {
    const { id } = await create();
    runpod.double.switches.podLogLines = 1;
    await expect.poll(() => runpod.double.pods.find(id)?.log.length).toBeGreaterThan(1);
    const response = await runpod.rest(`GET /pods/${id}/logs`);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    // The switch interrupts the log, so the stream ends.
    const text = await response.text();
    expect(text).toMatch(/^id: \S+\ndata: \{"ts":"[^"]+","source":"system","line":"create container [^"]+"\}\n\n$/);
  });
});
