import type { PlainConfig } from "../../infra/configSchema";
import { awsLines } from "./aws";
import type { Line } from "./estimate";
import { type GpuPrices, gpuLines, llmLines } from "./inference";
import type { ProgramFacts } from "./resources";
import { trafficOf } from "./traffic";

/** Facts from which a month's bill is computed. */
export interface BillArgs {
  config: PlainConfig & { stack: string };
  program: ProgramFacts;
  gpuPrices: GpuPrices;
}

/**
 * Lines of a month's bill.
 *
 * @throws Error that names a missing price
 */
export function billOf({ config, program, gpuPrices }: BillArgs): Line[] {
  const traffic = trafficOf(config);
  return [
    ...gpuLines(config, traffic, gpuPrices),
    ...llmLines(config, traffic),
    ...awsLines({ config, program, traffic }),
  ];
}
