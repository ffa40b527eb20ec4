import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { VipProvider } from "../../contract/relay";
import { listen } from "../../local/support/http";
import { anthropic } from "./wire/anthropic";
import { bedrock } from "./wire/bedrock";
import { type Fault, TOKENS, token, tokenPauseMs } from "./wire/fault";
import { type FaultyServer, type Script, type SeenRequest, seenRequest } from "./wire/faultyServer";
import { readJson, retryAfter, sendJson } from "./wire/http";
import { huggingface, openai } from "./wire/openai";
import type { Chat, Reply, Wire } from "./wire/wire";

/** Wire format of each external LLM. */
export const wires: Record<VipProvider, Wire> = { anthropic, openai, bedrock, huggingface };

/** Options of a faulty provider. */
export interface FaultyOptions {
  wire: Wire;
  /** One character that marks the tokens of this provider. */
  mark: string;
  /** Divides all times. */
  scale: number;
}

/** Starts a provider on a free port. It answers every valid request until `play` sets a script. */
export async function startFaultyProvider(options: FaultyOptions): Promise<FaultyServer> {
  const closing = new AbortController();
  let script: Script = () => ({ kind: "none" });
  let valid = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await readJson(request);
    const seen = seenRequest(body);
    provider.requests.push(seen);
    const { method = "", url: path = "", headers } = request;
    if (!options.wire.serves(path) || method !== "POST") return sendJson(response, { status: 404, body: {} });
    const read = options.wire.read({ method, path, headers, body });
    if ("refusal" in read) {
      seen.refusal = read.refusal;
      return sendJson(response, read.refusal);
    }
    seen.model = read.chat.model;
    seen.promptChars = read.chat.promptChars;
    const fault = script(read.chat, valid++);
    seen.fault = fault.kind;
    await new Playback(options, read.chat, seen, response, closing.signal).play(fault);
  };
  const { url, close } = await listen("faulty provider", 0, (request, response) => {
    // A playback ends with an AbortError when the client leaves or the provider closes.
    handle(request, response).catch(() => response.destroy());
  });
  const provider: FaultyServer = {
    url,
    requests: [],
    play: (next) => {
      script = next;
      valid = 0;
      provider.requests.length = 0;
    },
    close: async () => {
      closing.abort();
      await close();
    },
  };
  return provider;
}

/** Plays one fault on one response. */
class Playback {
  private readonly left = new AbortController();
  private readonly signal: AbortSignal;
  private readonly reply: Reply;
  private closedByUs = false;

  constructor(
    private readonly options: FaultyOptions,
    chat: Chat,
    private readonly seen: SeenRequest,
    private readonly response: ServerResponse,
    closing: AbortSignal,
  ) {
    this.reply = {
      id: `reply-${crypto.randomUUID()}`,
      model: chat.model,
      promptTokens: Math.max(2, chat.promptChars),
      completionTokens: TOKENS,
    };
    this.signal = AbortSignal.any([closing, this.left.signal]);
    response.on("close", () => {
      if (!response.writableFinished && !this.closedByUs) seen.abandonedAtMs = performance.now();
      this.left.abort();
    });
  }

  async play(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "refuse":
        return this.refuse(fault.error, fault.retryAfterMs);
      case "reset":
        this.closedByUs = true;
        this.response.socket?.resetAndDestroy();
        return;
      case "silent":
        return this.hold();
      case "filtered":
        this.open();
        this.write(...this.options.wire.last({ ...this.reply, completionTokens: 1 }, "filter"));
        return this.finish();
      default:
        return this.stream(fault);
    }
  }

  private async stream(fault: Exclude<Fault, { kind: "refuse" | "reset" | "silent" | "filtered" }>): Promise<void> {
    const { wire } = this.options;
    this.open();
    if (fault.kind === "slow") await this.wait(fault.firstTextMs);
    for (let index = 0; index < TOKENS; index++) {
      if ("afterTokens" in fault && index === fault.afterTokens && (await this.interrupt(fault))) return;
      this.write(wire.text(this.reply, token(this.options.mark, index)));
      this.seen.tokens++;
      await this.wait(tokenPauseMs(fault));
    }
    this.write(...wire.last(this.reply, "stop"));
    if (fault.kind !== "unterminated") return this.finish();
    if (fault.connection === "open") return this.hold();
    this.response.end();
  }

  /** Plays the fault in the middle of the stream. Returns whether the fault has ended the stream. */
  private async interrupt(fault: Extract<Fault, { afterTokens: number }>): Promise<boolean> {
    if (fault.kind === "malformed") {
      this.write(this.options.wire.malformed(this.reply));
      return false;
    }
    if (fault.kind === "stall") await this.wait(fault.silentMs);
    this.closedByUs = true;
    if (fault.kind === "cut" && fault.connection === "ended") this.response.end();
    else this.response.destroy();
    return true;
  }

  private refuse(kind: Parameters<Wire["error"]>[0], retryAfterMs: number | undefined): void {
    const error = this.options.wire.error(kind);
    sendJson(this.response, { ...error, headers: { ...error.headers, ...retryAfter(retryAfterMs) } });
  }

  private open(): void {
    this.response.writeHead(200, { "content-type": this.options.wire.contentType, "cache-control": "no-cache" });
    this.write(...this.options.wire.first(this.reply));
  }

  private write(...events: Uint8Array[]): void {
    for (const event of events) this.response.write(event);
  }

  private finish(): void {
    this.write(this.options.wire.terminator(this.reply));
    this.response.end();
    this.seen.complete = true;
  }

  private wait(ms: number): Promise<void> {
    return sleep(ms / this.options.scale, undefined, { signal: this.signal });
  }

  /** Keeps the connection open until the client leaves. */
  private hold(): Promise<void> {
    return new Promise((resolve) => this.signal.addEventListener("abort", () => resolve()));
  }
}
