import pc from "picocolors";
import type { RelayItem } from "../../../contract/relay";
import type { Children } from "../children";
import { readChunk, type StreamClient, type StreamedReply, type StreamTarget } from "../streamClient";
import { type Gateway, startGateway, type Upstream } from "./gateways";
import type { RelayHost } from "./startHost";

/** A server in the comparison. */
export interface Subject {
  /** Returns the request for a reply of `maxTokens` tokens. */
  target(maxTokens: number): Promise<StreamTarget>;
}

/** Message of all requests. */
const messages = [{ role: "user", content: "こんばんは。今日は仕事で疲れました。" }];

/** Creates the subject of direct calls to the upstream. */
export function directSubject({ url, model }: Upstream): Subject {
  return completions({ url: `${url}/chat/completions` }, model);
}

/**
 * Installs and starts a gateway. When the gateway does not start, prints the reason on stderr and returns undefined.
 * The comparison then continues without the gateway.
 *
 * @throws Error when the gateway cannot be measured and `REQUIRE_ALL` is 1
 */
export async function gatewaySubject(
  children: Children,
  gateway: Gateway,
  upstream: Upstream,
): Promise<Subject | undefined> {
  try {
    return completions(await startGateway(children, gateway, upstream), upstream.model);
  } catch (error) {
    if (process.env.REQUIRE_ALL === "1") throw error;
    const reason = error instanceof Error ? error.message : String(error);
    console.error(pc.bold(pc.yellow(`NOT COMPARED with ${gateway.name}: ${reason}`)));
    return undefined;
  }
}

/** Creates the subject of the relay. Each target gets a new ticket. */
export function relaySubject({ url, signTicket }: RelayHost): Subject {
  return {
    target: async (maxTokens) => ({
      url,
      headers: { authorization: `Bearer ${await signTicket()}` },
      body: { messages, params: { max_tokens: maxTokens } },
      read: readItem,
    }),
  };
}

/** Requests one reply and checks that it is complete: every token of the upstream is one character. */
export async function ask(client: StreamClient, target: StreamTarget, maxTokens: number): Promise<StreamedReply> {
  const reply = await client.ask(target);
  if (reply.text.length !== maxTokens)
    throw new Error(`${target.url}: expected a reply of ${maxTokens} tokens, got ${reply.text.length}`);
  return reply;
}

/** Creates the subject of a server with OpenAI's Chat Completions API. */
function completions(server: Pick<StreamTarget, "url" | "headers">, model: string): Subject {
  return {
    target: async (maxTokens) => ({
      ...server,
      body: { model, messages, stream: true, max_tokens: maxTokens },
      read: readChunk,
    }),
  };
}

function readItem(data: string): ReturnType<StreamTarget["read"]> {
  const item = JSON.parse(data) as RelayItem;
  if ("delta" in item) return { text: item.delta };
  return "done" in item ? { tokens: item.usage.completion_tokens, isLast: true } : {};
}
