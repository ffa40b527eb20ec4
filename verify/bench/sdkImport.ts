import { execFileSync } from "node:child_process";

/** CPU time (user and system) and wall-clock time of one process, or of a process and its descendants. */
export interface Cost {
  cpuMs: number;
  wallMs: number;
}

const script = `
  require("@pulumi/pulumi");
  require("@pulumi/aws");
  const { user, system } = process.cpuUsage();
  console.log((user + system) / 1000);`;

/**
 * Measures a process that only imports Pulumi's SDK and its AWS package. This cost is the unit of the ratios. A slow or
 * busy machine changes it in the same way as the cost of the program.
 */
export function importSdk(): Cost {
  const { NODE_OPTIONS: _, NODE_COMPILE_CACHE: __, ...env } = process.env;
  const startedAt = performance.now();
  const cpuMs = Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8", env }));
  return { cpuMs, wallMs: performance.now() - startedAt };
}
