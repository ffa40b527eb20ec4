import { Children } from "./children";
import { type Percentiles, percentiles } from "./percentile";
import { benchAdmission } from "./relay/admission";
import { type BundleBench, benchBundles } from "./relay/bundles";
import { compareAfterPauses, compareFirstText, type FirstText } from "./relay/firstText";
import { litellm, portkey } from "./relay/gateways";
import { startHost } from "./relay/startHost";
import { directSubject, gatewaySubject, relaySubject } from "./relay/subjects";
import { CLIENTS, compareThroughput } from "./relay/throughput";
import { startEngine } from "./startEngine";
import { StreamClient } from "./streamClient";

/** Output of `npm run bench -- relay --json`. "Direct" is a call of the upstream without a gateway or the relay. */
export interface RelayBench extends BundleBench {
  /** Time to the first text through the relay, minus the time of a direct call. */
  overheadMs: Percentiles;
  /**
   * Like `overheadMs`, but each request follows a pause, in which the machine's cores sleep. This value has no budget.
   */
  afterPauseMs: Percentiles;
  /** Tokens per second of 64 concurrent clients through the relay, divided by the tokens per second of direct calls. */
  throughputRatio64: number;
  /** Like `overheadMs`. `null` when the gateway could not be measured. */
  litellm: Percentiles | null;
  portkey: Percentiles | null;
  /**
   * Time of the two conditional writes that admit a VIP's chat, measured with dynalite. It is not part of `overheadMs`.
   */
  admissionMs: Percentiles;
  /** Time to the first text of a direct call. */
  directMs: Percentiles;
  /** Packages of the other gateways. */
  packages: string[];
}

const MODEL = "mistral";

/**
 * Measures the relay, LiteLLM's proxy and Portkey's gateway in front of the same upstream. Each of the three is one
 * process without a database. The relay verifies a ticket.
 *
 * @throws Error when a gateway cannot be measured and `REQUIRE_ALL` is 1
 */
export async function benchRelay(say: (line: string) => void): Promise<RelayBench> {
  const children = new Children();
  const client = new StreamClient();
  try {
    const { direct, added, afterPauseMs } = await benchFirstText(children, client, say);
    say(`measuring ${CLIENTS} concurrent clients`);
    const throughputRatio64 = await benchThroughput(children, client);
    say("measuring the admission");
    const admissionMs = percentiles(await benchAdmission(children));
    say("measuring the bundles");
    return {
      overheadMs: added.relay,
      afterPauseMs,
      throughputRatio64,
      litellm: added.litellm ?? null,
      portkey: added.portkey ?? null,
      admissionMs,
      directMs: direct,
      ...benchBundles(),
      packages: [litellm, portkey].flatMap(({ packages }) => packages),
    };
  } finally {
    client.close();
    await children.end();
  }
}

async function benchFirstText(
  children: Children,
  client: StreamClient,
  say: (line: string) => void,
): Promise<FirstText & { afterPauseMs: Percentiles }> {
  const upstream = { url: await startEngine(children, "at-once"), model: MODEL };
  say("starting the gateways");
  const subjects = {
    relay: relaySubject(await startHost(children, upstream)),
    litellm: await gatewaySubject(children, litellm, upstream),
    portkey: await gatewaySubject(children, portkey, upstream),
  };
  say("measuring the first text");
  const direct = directSubject(upstream);
  const times = await compareFirstText(client, direct, subjects);
  return { ...times, afterPauseMs: await compareAfterPauses(client, direct, subjects.relay) };
}

async function benchThroughput(children: Children, client: StreamClient): Promise<number> {
  const upstream = { url: await startEngine(children), model: MODEL };
  const relay = relaySubject(await startHost(children, upstream));
  return compareThroughput(client, relay, directSubject(upstream));
}
