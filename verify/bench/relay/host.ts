import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "aws-lambda";
import type { JSONWebKeySet } from "jose";
import { ApiError, RateLimited } from "../../../contract/errors";
import { createCooldowns } from "../../../functions/core/relay/cooldown";
import { cancel, isCancelled, readUsage, reserve, settle, type UsageState } from "../../../functions/core/relay/usage";
import { createTicketReader } from "../../../functions/core/ticket";
import type { StreamRequest } from "../../../functions/lib/streaming";
import { createRelay, type RelayServices } from "../../../functions/relay/handler";
import { loadProvider } from "../../../functions/relay/providers";
import type { UsageTable } from "../../../functions/tables/usage";

/**
 * The relay's handler in a separate process, with its tables in memory and the provider `openai`. Runs as a bundle with
 * the options of the Lambda's bundle. Sends `{url}` to its parent, and exits when the parent exits. Answers the message
 * `memory` with `{residentBytes}`, measured after a garbage collection.
 */

/** Settings of the host: its argument, as JSON. */
export interface HostSettings {
  ticketIssuer: string;
  jwks: JSONWebKeySet;
  /** Base URL and model of the upstream. */
  upstream: { url: string; model: string };
  /** Path of a Unix socket to listen on. Default: a free port. */
  socketPath?: string | undefined;
}

const { ticketIssuer, jwks, upstream, socketPath } = JSON.parse(process.argv[2] ?? "{}") as HostSettings;
const unlimited = { chatsPerMinute: Number.MAX_SAFE_INTEGER, tokensPerDay: Number.MAX_SAFE_INTEGER };
const noKey = async () => {
  throw new Error("The benchmark configures no key of this kind");
};

/** A usage table in memory, with the rules of the real table. */
function memoryUsage(): UsageTable {
  const states = new Map<string, UsageState>();
  const store = (account: string, next: UsageState | undefined) => next && states.set(account, next);
  return {
    async reserve({ account, ...chat }, now) {
      const request = { ...chat, request: crypto.randomUUID() };
      const { next, refusal } = reserve(states.get(account), request, now);
      if (refusal?.code === "conflict") throw new ApiError("conflict");
      if (refusal) throw new RateLimited(refusal.retryAfterSeconds);
      store(account, next);
    },
    async settle({ account, ...chat }, now) {
      store(account, settle(states.get(account), chat, now));
    },
    async cancel({ account, ...chat }, now) {
      const { found, next } = cancel(states.get(account), chat, now);
      store(account, next);
      if (!found) throw new ApiError("not_found");
    },
    isCancelled: async ({ account, chatId }) => isCancelled(states.get(account), chatId),
    read: async (account, limits, now) => readUsage(states.get(account), limits, now),
  };
}

const provider = loadProvider("openai").then(({ create }) =>
  create({ env: { OPENAI_MODEL: upstream.model, OPENAI_BASE_URL: upstream.url }, readKey: async () => "key" }),
);
const services: RelayServices = {
  ticketIssuer,
  readTicket: createTicketReader({ jwks, issuer: ticketIssuer }),
  signingKey: noKey,
  candidate: async () => undefined,
  replyCounts: { add: async () => {} },
  usage: memoryUsage(),
  spend: { reserve: async () => true, settle: async () => {} },
  cooldowns: createCooldowns({
    read: async () => new Map(),
    write: async () => {},
    replace: async () => true,
    remove: async () => {},
  }),
  limits: { free: unlimited, paid: unlimited, vip: unlimited },
  endpoints: {},
  workerKey: noKey,
  vipProviders: () => ["openai"],
  createProvider: () => provider,
  prices: { openai: { input: 1, cachedInput: 0.1, output: 5 } },
  dailyUsd: 5,
  alarm: (name) => console.error({ alarm: name }),
};

// Lambda's global. A response of Node's HTTP server has the methods of Lambda's response stream.
Object.assign(globalThis, {
  awslambda: {
    HttpResponseStream: {
      from: (response: ServerResponse, prelude: { statusCode: number; headers: Record<string, string> }) =>
        response.writeHead(prelude.statusCode, prelude.headers),
    },
  },
});

const relay = createRelay(services);
const context = { getRemainingTimeInMillis: () => 300_000 } as Context;
const server = createServer(async (request, response) => relay(await eventOf(request), response, context));
server.listen(socketPath ? { path: socketPath } : { port: 0, host: "127.0.0.1" }, () => {
  const address = server.address() as AddressInfo | string;
  process.send?.({ url: `http://${typeof address === "string" ? "localhost" : `127.0.0.1:${address.port}`}` });
});
process.on("message", async (message) => {
  if (message === "memory") process.send?.({ residentBytes: await residentBytes() });
});
process.once("disconnect", () => process.exit());

/** Returns the resident memory. Only V8's last-resort garbage collection returns free pages to the system. */
async function residentBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    await sleep(250);
  }
  return process.memoryUsage.rss();
}

/** Creates the event of a function URL, payload format 2.0. */
async function eventOf(request: IncomingMessage): Promise<StreamRequest> {
  const { method, url, headers } = request;
  const http = { method, path: url, sourceIp: "127.0.0.1" };
  const body = await text(request);
  return { version: "2.0", rawPath: url, headers, requestContext: { http }, body, isBase64Encoded: false } as never;
}
