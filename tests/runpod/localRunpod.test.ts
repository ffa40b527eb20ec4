import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Events } from "../../local/events";
import { idleWorker } from "../../local/runpod/idleWorker";
import { startRunpod } from "../../local/runpod/server";
import { startEngine } from "./engine";
import { make, stage } from "./stage";

const on = stage();

it("the whole lifecycle passes on the RunPod that `npm start` runs", async () => {
  const { program, config, registered } = on();
  const dir = await mkdtemp(join(tmpdir(), "snack-runpod-double-"));
  const runpod = await startRunpod({
    port: 0,
    dir,
    keys: [{ key: config.runpodApiKey ?? "", scope: "account" }],
    engineUrl: "http://127.0.0.1:9/v1",
    python: undefined,
    resolveImage: () => ({ version: "1" }),
    events: new Events(),
    templateHoldMs: 50,
    startWorker: idleWorker,
  });
  const engine = await startEngine(program.folder, { ...config, runpodApiUrl: runpod.url });
  try {
    const template = engine.resource(registered.template.type);
    const endpoint = engine.resource(registered.endpoint.type);

    const first = await make(template, registered.template.inputs);
    const adopted = await make(template, registered.template.inputs);
    expect(adopted.id).toBe(first.id);
    const second = await make(endpoint, { ...registered.endpoint.inputs, templateId: first.id });
    expect((await make(endpoint, second.inputs)).id).toBe(second.id);

    expect(await template.read(first.id, first.outs)).toEqual({ id: first.id, outs: first.outs, inputs: first.inputs });
    expect(await endpoint.read(second.id, second.outs)).toEqual({
      id: second.id,
      outs: second.outs,
      inputs: second.inputs,
    });

    const { inputs: bumped } = await template.check({ ...first.inputs, imageName: "registry.example/phi3:2026-12-01" });
    await template.update(first.id, first.outs, bumped);
    expect((await template.read(first.id, bumped)).outs.imageName).toBe("registry.example/phi3:2026-12-01");

    await endpoint.delete(second.id, second.outs);
    await template.delete(first.id, first.outs);
    expect((await endpoint.read(second.id, second.outs)).id).toBe("");
    expect((await template.read(first.id, first.outs)).id).toBe("");
  } finally {
    await engine.close();
    await runpod.close();
    await rm(dir, { recursive: true, force: true });
  }
});
