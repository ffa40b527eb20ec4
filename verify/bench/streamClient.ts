import { Agent, type IncomingMessage, request } from "node:http";
import { createParser } from "eventsource-parser";

/** A server that streams a reply as server-sent events. */
export interface StreamTarget {
  url: string;
  headers?: Record<string, string>;
  body: object;
  /** Reads the JSON data of one event. `isLast` marks the event after which the reply is complete. */
  read(data: string): { text?: string | undefined; tokens?: number | undefined; isLast?: boolean };
}

/** A streamed reply. */
export interface StreamedReply {
  /** Time from the request to the first text. */
  firstTextMs: number;
  text: string;
  /** Completion tokens that the server counted. */
  tokens: number;
}

/** Client of streaming servers. It keeps its connections open. */
export class StreamClient {
  private readonly agent = new Agent({ keepAlive: true });

  /** Sends a request and reads the whole reply. Rejects when the status is not 200 or the reply is incomplete. */
  ask({ url, headers, body, read }: StreamTarget): Promise<StreamedReply> {
    const startedAt = performance.now();
    const reply = { firstTextMs: 0, text: "", tokens: 0 };
    let isComplete = false;
    const parser = createParser({
      onEvent({ data }) {
        const { text, tokens, isLast } = read(data);
        if (text) reply.firstTextMs ||= performance.now() - startedAt;
        reply.text += text ?? "";
        reply.tokens = tokens ?? reply.tokens;
        isComplete ||= isLast ?? false;
      },
    });
    const json = JSON.stringify(body);
    const allHeaders = {
      "content-type": "application/json",
      accept: "text/event-stream",
      "content-length": Buffer.byteLength(json),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const onResponse = (response: IncomingMessage) => {
        const parts: string[] = [];
        response.setEncoding("utf8").on("data", (chunk: string) => {
          if (response.statusCode === 200) parser.feed(chunk);
          else parts.push(chunk);
        });
        response.once("error", reject).once("end", () => {
          if (isComplete) resolve(reply);
          else
            reject(
              new Error(`${url}: status ${response.statusCode}, incomplete reply ${parts.join("").slice(0, 300)}`),
            );
        });
      };
      request(url, { method: "POST", agent: this.agent, headers: allHeaders }, onResponse)
        .once("error", reject)
        .end(json);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

interface Chunk {
  choices: { delta: { content?: string } }[];
  usage?: { completion_tokens: number } | null;
}

/** Reads an event of OpenAI's Chat Completions API. */
export function readChunk(data: string): ReturnType<StreamTarget["read"]> {
  if (data === "[DONE]") return { isLast: true };
  const { choices, usage } = JSON.parse(data) as Chunk;
  return { text: choices[0]?.delta.content, tokens: usage?.completion_tokens };
}
