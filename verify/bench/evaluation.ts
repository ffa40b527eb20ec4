import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineOptions, preview } from "../../local/pulumi/engine";
import type { Cost } from "./sdkImport";

/**
 * Measures one preview of the program. The CPU time covers the two processes that every Pulumi engine starts: the
 * program, and the server of dynamic resources. The wall-clock time also covers the local Pulumi engine.
 *
 * @param dir folder for temporary files
 */
export async function evaluate(options: EngineOptions, dir: string): Promise<Cost> {
  const times = join(dir, "cpu-times.txt");
  const preload = join(dir, "record-cpu-time.cjs");
  rmSync(times, { force: true });
  writeFileSync(
    preload,
    `process.on("exit", () => {
       const { user, system } = process.cpuUsage();
       require("node:fs").appendFileSync(${JSON.stringify(times)}, (user + system) / 1000 + "\\n");
     });`,
  );
  const startedAt = performance.now();
  await preview({ ...options, env: { ...options.env, NODE_OPTIONS: `--require=${JSON.stringify(preload)}` } });
  const wallMs = performance.now() - startedAt;
  const processes = readFileSync(times, "utf8").trim().split("\n").map(Number);
  if (processes.length !== 2) throw new Error(`Expected 2 processes in one preview, got ${processes.length}`);
  return { cpuMs: processes.reduce((sum, ms) => sum + ms), wallMs };
}
