import type { PlainConfig } from "../../infra/configSchema";
import { awsLines } from "./aws";
import type { Line } from "./estimate";
import { type GpuPrices, gpuLines, llmLines, workerShortages } from "./inference";
import type { ProgramFacts } from "./resources";
import { mostRelayChats, trafficOf } from "./traffic";

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

/** Names the settings that are too small for the chats of the estimate, one line each. */
export function capacityNotes({ config }: Pick<BillArgs, "config">): string[] {
  const traffic = trafficOf(config);
  const chats = traffic.relayChats.expected;
  const most = mostRelayChats(config);
  const [needed, given] = [chats, most].map((each) => Math.round(each).toLocaleString("en"));
  return [
    ...workerShortages(config, traffic),
    ...(chats > most
      ? [
          `relay.concurrency is ${config.relay.concurrency}, which is at most ${given} chats a month, but the estimate has ` +
            `${needed}. The relay rejects the others. Raise it.`,
        ]
      : []),
  ];
}
