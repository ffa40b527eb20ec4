import { mkdtemp, rm } from "node:fs/promises";
import { request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "../../local/support/http";
import { Children } from "../bench/children";
import { type RelayHost, startHost } from "../bench/relay/startHost";

/** Resident memory of the relay's process after the first chats and after all chats, in bytes, and their ratio. */
export interface MemoryResult {
  firstBytes: number;
  lastBytes: number;
  ratio: number;
}

/** Numbers of chats after which the memory is measured. */
export interface MemoryOptions {
  first: number;
  last: number;
}

/** Number of concurrent chats. */
const READERS = 24;
/** Pauses of a reader: before the reply, and after each part of the reply. */
const PAUSE_MS = { first: 300, next: 20 };
/** A reply is larger than the buffers of a Unix socket. So the relay has to wait for a slow reader. */
const PIECE = "あ".repeat(200);
const PIECES = 700;

/**
 * Measures the memory of a separate process that runs only the relay's handler. The clients read slowly. The upstream
 * sends a long reply as fast as the relay reads it.
 *
 * @throws Error when a reply is incomplete
 */
export async function measureMemory({ first, last }: MemoryOptions): Promise<MemoryResult> {
  const dir = await mkdtemp(join(tmpdir(), "snack-misaki-leavers-"));
  const socketPath = join(dir, "relay.sock");
  const children = new Children();
  const upstream = await listen("fast LLM", 0, (_, response) => void sendReply(response));
  try {
    const host = await startHost(children, { url: `${upstream.url}/v1`, model: "fast" }, socketPath);
    await chatSlowly(host, socketPath, first);
    const firstBytes = await host.residentBytes();
    await chatSlowly(host, socketPath, last - first);
    const lastBytes = await host.residentBytes();
    return { firstBytes, lastBytes, ratio: lastBytes / firstBytes };
  } finally {
    await children.end();
    await upstream.close();
    await rm(dir, { recursive: true, force: true });
  }
}

async function chatSlowly(host: RelayHost, socketPath: string, chats: number): Promise<void> {
  let left = chats;
  const reader = async () => {
    while (left-- > 0) await readSlowly(socketPath, await host.signTicket());
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}

function readSlowly(socketPath: string, ticket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${ticket}`,
      accept: "text/event-stream",
      "content-type": "application/json",
    };
    const outgoing = request({ socketPath, path: "/chat", method: "POST", agent: false, headers }, async (response) => {
      let end = "";
      try {
        await sleep(PAUSE_MS.first);
        for await (const chunk of response) {
          end = `${end}${chunk}`.slice(-200);
          await sleep(PAUSE_MS.next);
        }
        if (!end.includes('"attempts":1')) throw new Error(`The reply is incomplete: ${end}`);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
    outgoing.once("error", reject).end(JSON.stringify({ text: "こんばんは" }));
  });
}

/** Sends a reply of OpenAI's Chat Completions API. */
async function sendReply(response: ServerResponse): Promise<void> {
  const event = (data: object) =>
    `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: "fast", ...data })}\n\n`;
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let piece = 0; piece < PIECES; piece++) {
    const hasRoom = response.write(event({ choices: [{ index: 0, delta: { content: PIECE }, finish_reason: null }] }));
    if (!hasRoom) await drained(response);
  }
  response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }));
  response.write(event({ choices: [], usage: { prompt_tokens: 1_000, completion_tokens: 500 } }));
  response.end("data: [DONE]\n\n");
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
}
