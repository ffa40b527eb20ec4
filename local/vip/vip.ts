import type { RequestListener, Server } from "node:http";
import { createServer, type Fixture } from "@copilotkit/aimock";
import { type VipProvider, vipProviders } from "../../contract/relay";
import type { AwsAccount } from "../aws/support/account";
import { mamaReply } from "../llm/mamaReply";
import type { Events } from "../support/events";
import { restrictToLoopback } from "../support/http";
import { restrictToRoles } from "./bedrockAccess";

/** Characters of one streamed piece, and the pause after each piece. */
const PIECE_CHARS = 3;
const PIECE_PAUSE_MS = 5;
/** Number of requests that aimock keeps. The limit prevents a memory leak. */
const REMEMBERED_REQUESTS = 20;

/** Display name of each provider, at the end of its replies. */
const labels: Record<VipProvider, string> = {
  anthropic: "Anthropic",
  openai: "OpenAI",
  bedrock: "Bedrock",
  huggingface: "HuggingFace",
};

/** Environment variable with each provider's URL, and the path of that URL after the server's origin. */
const urlVariables: Record<VipProvider, { variable: string; path: string }> = {
  anthropic: { variable: "ANTHROPIC_BASE_URL", path: "" },
  openai: { variable: "OPENAI_BASE_URL", path: "/v1" },
  bedrock: { variable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", path: "" },
  huggingface: { variable: "HUGGINGFACE_BASE_URL", path: "/v1" },
};

/**
 * Failure of a server. `overloaded`: the server refuses every request. `cut`: it closes the connection after a few
 * words. `cut late`: it closes the connection after a long text. `silent`: it never answers.
 */
export type VipFault = "overloaded" | "cut" | "cut late" | "silent";

/** Models by provider. */
export type OfferedModels = Partial<Record<VipProvider, string[]>>;

/** The running servers of the external LLMs. */
export interface VipServers {
  /** Environment variables that make the relay call the servers. */
  environment: Record<string, string>;
  /** Base URL of each server, as in the configuration's `vip.<provider>.baseUrl`. */
  urls: Record<VipProvider, string>;
  /** Servers that fail. The map can be changed at any time. */
  faults: Map<VipProvider, VipFault>;
  close(): Promise<void>;
}

/**
 * Starts a local server for each external LLM, in the vendor's wire format: Anthropic Messages, OpenAI Chat Completions
 * (also for HuggingFace's router) and ConverseStream of Bedrock. Every server answers as 美砂樹ママ from a script and names
 * its provider at the end, such as `（OpenAI）`. It counts one character as one token and accepts every key. It ignores
 * the limit of tokens, because its replies are short. Bedrock also checks the policies of the calling role.
 *
 * @param account returns the AWS account with the callers of Bedrock
 * @param offered models that each server lists; a chat with any other model also works
 */
export async function startVipServers(
  events: Events,
  account: () => AwsAccount,
  offered: OfferedModels = {},
): Promise<VipServers> {
  const faults: VipServers["faults"] = new Map();
  const servers = await Promise.all(
    vipProviders.map(async (name) => {
      const server = await startServer(name, events, faults, offered[name] ?? []);
      if (name === "bedrock") restrictToRoles(server.server, account);
      return { ...server, url: `${server.url}${urlVariables[name].path}` };
    }),
  );
  return {
    environment: Object.fromEntries(servers.map(({ name, url }) => [urlVariables[name].variable, url])),
    urls: Object.fromEntries(servers.map(({ name, url }) => [name, url])) as VipServers["urls"],
    faults,
    close: async () => void (await Promise.all(servers.map(({ close }) => close()))),
  };
}

async function startServer(name: VipProvider, events: Events, faults: VipServers["faults"], offered: string[]) {
  const reply: Fixture["response"] = ({ messages, model }) => {
    const asked = textOf(messages.findLast(({ role }) => role === "user")?.content);
    const content = `${mamaReply(asked)}（${labels[name]}）`;
    const promptChars = messages.reduce((sum, message) => sum + textOf(message.content).length, 0);
    events.emit({
      source: "engine",
      summary: `${labels[name]} (${model}) sends a scripted reply of ${content.length} tokens`,
    });
    return { content, usage: usage(promptChars, content.length) };
  };
  const when = (fault: VipFault | undefined) => ({ predicate: () => faults.get(name) === fault });
  const overloaded = { error: { message: "Overloaded", type: "overloaded_error" }, status: 503 };
  const fixtures: Fixture[] = [
    { match: when("overloaded"), response: overloaded },
    { match: when("cut"), response: reply, truncateAfterChunks: 4 },
    { match: when("cut late"), response: { content: mamaReply("").repeat(20) }, truncateAfterChunks: 100 },
    // aimock's option `latency` is not suitable: it waits before every piece, even after the client has disconnected.
    { match: when("silent"), response: () => new Promise<never>(() => {}) },
    { match: when(undefined), response: reply },
  ];
  const { server, url } = await createServer(fixtures, {
    port: 0,
    logLevel: "silent",
    latency: PIECE_PAUSE_MS,
    chunkSize: PIECE_CHARS,
    journalMaxEntries: REMEMBERED_REQUESTS,
  });
  answerModels(server, offered);
  restrictToLoopback(server);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { name, url, server, close };
}

/**
 * Answers the lists of models: `GET /v1/models` and `GET /v1/models/<id>`, in the common part of the vendors' formats.
 * Without these answers, aimock would list its built-in models.
 */
function answerModels(server: Server, offered: string[]): void {
  const listeners = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request").on("request", (request, response) => {
    const [, id] = /^\/v1\/models(?:\/(.+))?$/.exec(new URL(request.url ?? "", "http://localhost").pathname) ?? [];
    if (request.method !== "GET" || !request.url?.startsWith("/v1/models")) {
      for (const listener of listeners) listener(request, response);
      return;
    }
    const model = (one: string) => ({ id: one, type: "model", object: "model", display_name: one, created: 0 });
    const isKnown = id === undefined || offered.includes(decodeURIComponent(id));
    const missing = { type: "error", error: { type: "not_found_error", message: `model: ${id}` } };
    const list = { object: "list", data: offered.map(model), has_more: false, first_id: null, last_id: null };
    response.writeHead(isKnown ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(isKnown ? (id ? model(decodeURIComponent(id)) : list) : missing));
  });
}

function textOf(content: string | { text?: string }[] | null | undefined): string {
  if (typeof content === "string") return content;
  return (content ?? []).map(({ text = "" }) => text).join("");
}

/** Token counts under the field names of every vendor. aimock uses the names of its wire format. */
function usage(prompt: number, completion: number) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    input_tokens: prompt,
    output_tokens: completion,
  };
}
