import { execFileSync } from "node:child_process";

/** CPU time (user and system) and wall-clock time of one process, or of one process with its descendants. */
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
 * Measures a process that imports Pulumi's SDK and its AWS package, and nothing else. This is the unit of the ratios: it
 * depends on the machine and its load as the program does.
 */
export function importSdk(): Cost {
  const { NODE_OPTIONS: _, NODE_COMPILE_CACHE: __, ...env } = process.env;
  const startedAt = performance.now();
  const cpuMs = Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8", env }));
  return { cpuMs, wallMs: performance.now() - startedAt };
}
