import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../chaos/random";
import { startFaultyProvider, wires } from "../failover/faultyProvider";
import type { Script, SeenRequest } from "../failover/wire/faultyServer";
import { startFaultyRunpod } from "../failover/wire/runpod";
import { CAP_MS } from "./cap";
import { type LocalRelay, startLocalRelay } from "./relay";
import { leaveWithCancel, leaveWithoutCancel, type Visit } from "./visit";

/** Options of a run. */
export interface LeaversOptions {
  /** Number of clients, at least 4. Each combination of an upstream and a way to leave needs one client. */
  clients: number;
  /** Seed of the times at which clients leave, and of the upstreams' speed. */
  seed: number;
  /** Called with each line of progress. */
  say: (line: string) => void;
}

/** Results of the two groups of clients. All clients have left their chats. */
export interface LeaversResult {
  /** Clients that send the cancel call. `afterText` is the number of clients that had received text. */
  withCancel: { clients: number; afterText: number; calls: number; longestAfterLeavingMs: number };
  /** Clients that only close their connection. `outlivedCap` is the number of calls that lasted longer than the cap. */
  withoutCancel: { clients: number; afterText: number; calls: number; outlivedCap: number };
}

/**
 * Longest time from the end of a chat to the end of its upstream call. The relay looks for a cancellation every second.
 */
export const END_MS = 1_500;

/** Clients start one after the other, so that about twelve chats run at the same time. */
const START_EVERY_MS = 400;
const LONGEST_STAY_MS = 5_000;
/** The upstreams are so slow that no reply ends before the cap. */
const FIRST_TEXT_MS = { least: 200, most: 3_500 };
const TOKEN_PAUSE_MS = 250;
/** Number of requests that start the function's containers before the clients come. */
const WARM_UP_REQUESTS = 16;

/** A client and its chat. */
interface Leaver {
  name: string;
  plan: "vip" | "paid";
  cancels: boolean;
  visit: Visit;
}

/**
 * Lets clients leave their chats at random moments. The relay runs as a function behind the local function URL. As in
 * AWS, the relay does not learn that a client has disconnected. Half of the clients use an external LLM, the other half
 * a RunPod endpoint.
 *
 * @throws Error when a chat ends before its client leaves
 */
export async function runLeavers({ clients, seed, say }: LeaversOptions): Promise<LeaversResult> {
  const dir = await mkdtemp(join(tmpdir(), "snack-misaki-leavers-"));
  const llm = await startFaultyProvider({ wire: wires.openai, mark: "桃", scale: 1 });
  const runpod = await startFaultyRunpod({ mark: "桃", scale: 1 });
  let relay: LocalRelay | undefined;
  try {
    say("starting the relay");
    relay = await startLocalRelay(dir, { openaiUrl: `${llm.url}/v1`, endpointUrl: runpod.url });
    llm.play(slowly(new Random(seed, 1)));
    runpod.play(slowly(new Random(seed, 2)));
    await warmUp(relay);
    say(`${clients} clients start a chat and leave`);
    const leavers = await letLeave(relay, clients, seed);
    say("waiting for the upstream calls to end");
    const requests = () => [...llm.requests, ...runpod.requests];
    await allEnded(requests);
    return assess(leavers, requests());
  } finally {
    await relay?.close();
    await Promise.all([llm.close(), runpod.close()]);
    await rm(dir, { recursive: true, force: true });
  }
}

/** Script of replies that begin at a random time and last longer than the cap. */
function slowly(random: Random): Script {
  return () => ({
    kind: "slow",
    firstTextMs: random.between(FIRST_TEXT_MS.least, FIRST_TEXT_MS.most),
    tokenPauseMs: TOKEN_PAUSE_MS,
  });
}

async function warmUp(relay: LocalRelay): Promise<void> {
  const { inference } = await relay.session("warm-up", "vip");
  const requests = Array.from({ length: WARM_UP_REQUESTS }, (_, index) =>
    fetch(`${inference.url}/chat/warm-up-${index}/cancel`, {
      method: "POST",
      headers: { authorization: inference.authorization },
    }).then((response) => response.arrayBuffer()),
  );
  await Promise.all(requests);
}

function letLeave(relay: LocalRelay, clients: number, seed: number): Promise<Leaver[]> {
  const leaving = Array.from({ length: clients }, async (_, index): Promise<Leaver> => {
    const stayMs = new Random(seed, 3, index).between(0, LONGEST_STAY_MS);
    const leaver = {
      name: `client-${index}.`,
      plan: index % 2 === 0 ? "vip" : "paid",
      cancels: index % 4 < 2,
    } as const;
    await sleep(index * START_EVERY_MS);
    const session = await relay.session(leaver.name, leaver.plan);
    const leave = leaver.cancels ? leaveWithCancel : leaveWithoutCancel;
    return { ...leaver, visit: await leave(session, leaver.name, stayMs) };
  });
  return Promise.all(leaving);
}

/** Waits until every call has ended. Stops waiting at the time by which every call must have ended. */
async function allEnded(requests: () => SeenRequest[]): Promise<void> {
  const until = performance.now() + CAP_MS + 2 * END_MS;
  // The call of a client that has just left can reach its upstream later.
  await sleep(END_MS);
  while (performance.now() < until && requests().some(({ abandonedAtMs }) => abandonedAtMs === undefined)) {
    await sleep(50);
  }
}

/** @throws Error when an upstream has received no call. Such a run proves nothing about the upstream */
function assess(leavers: Leaver[], requests: SeenRequest[]): LeaversResult {
  const now = performance.now();
  const callsOf = ({ name, visit }: Leaver) =>
    requests
      .filter(({ body }) => JSON.stringify(body).includes(`"${name}"`))
      .map(({ atMs, abandonedAtMs = now }) => ({
        afterLeavingMs: abandonedAtMs - visit.leftAtMs,
        durationMs: abandonedAtMs - atMs,
      }));
  for (const plan of ["vip", "paid"]) {
    if (leavers.filter((leaver) => leaver.plan === plan).flatMap(callsOf).length === 0)
      throw new Error(`The upstream of the plan "${plan}" has received no call`);
  }
  const summarise = (group: Leaver[]) => ({
    clients: group.length,
    afterText: group.filter(({ visit }) => visit.hadText).length,
    calls: group.flatMap(callsOf),
  });
  const cancelling = summarise(leavers.filter(({ cancels }) => cancels));
  const silent = summarise(leavers.filter(({ cancels }) => !cancels));
  return {
    withCancel: {
      ...cancelling,
      calls: cancelling.calls.length,
      longestAfterLeavingMs: Math.round(Math.max(0, ...cancelling.calls.map(({ afterLeavingMs }) => afterLeavingMs))),
    },
    withoutCancel: {
      ...silent,
      calls: silent.calls.length,
      outlivedCap: silent.calls.filter(({ durationMs }) => durationMs > CAP_MS + END_MS).length,
    },
  };
}
