import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunpodDouble, startRunpod } from "../../local/runpod/server";
import { GPU_POOLS } from "../../runpod/gpuPools";
import { readGpuPrices } from "../../runpod/gpuPrices";
import { API_KEY, idleDouble } from "./localDouble";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-prices-"));
let runpod: RunpodDouble;
beforeAll(async () => {
  runpod = await startRunpod(idleDouble(dir));
});
afterAll(async () => {
  await runpod.close();
  rmSync(dir, { recursive: true, force: true });
});

const url = () => runpod.restUrl.replace(/\/v2$/, "");

describe("Reading the prices of RunPod's catalogue", () => {
  it("returns US dollars per second for every pool", async () => {
    const prices = await readGpuPrices({ apiKey: API_KEY, url: url() });
    expect(Object.keys(prices).toSorted()).toEqual([...GPU_POOLS].toSorted());
    expect(prices.AMPERE_24).toBeCloseTo(0.00019, 6);
  });

  it("throws for a key that RunPod refuses, without the key in the message", async () => {
    const refused = readGpuPrices({ apiKey: "rpa_WRONG", url: url() });
    await expect(refused).rejects.toThrow(/^RunPod answered catalog with 401$/);
  });
});
