import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

/**
 * OpenAI-compatible LLM engine without a model. It sends tokens at the pace of a GPU. It simulates continuous batching:
 * all unfinished replies get their next token at the same moment. A step takes longer when there are more replies.
 * Prints its URL and serves until its standard input ends. With the argument `at-once` it sends each reply without any
 * pause.
 */

/** Text of all replies. Each reply ends at a different point of this text. Every character is one token. */
const TEXT = Array.from(
  "あら、いらっしゃい。よく来てくれたわね。今夜は甘い桃が入ったのよ、ひと切れいかが？　お飲みものは、まずは薄めの水割りかしら。" +
    "お仕事の話でも、なんでもない話でも、ゆっくり聞かせてちょうだいね。夜は長いもの。帰りの時間だけは、ママが覚えていてあげるから、安心して。",
);
/** Tokens of the shortest reply. */
const MIN_TOKENS = 60;
/** Time from the request to the first token: prefill of a short message when the persona is in the prefix cache. */
const PREFILL_MS = 50;
/**
 * Duration of one step: 14 ms with one reply, 33 ms with 32 replies. This gives 70 and 975 tokens per second in total,
 * like Mistral 7B on an RTX 4090.
 */
const STEP_MS = { firstReply: 14, eachFurtherReply: (33 - 14) / 31 };

/** A reply: all its tokens, and the index of the token to send next. */
interface Reply {
  tokens: string[];
  at: number;
}

const replies = new Map<ServerResponse, Reply>();
let requests = 0;

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.end();
    return;
  }
  void answer(request, response);
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { max_tokens: maxTokens = TEXT.length } = JSON.parse(await text(request)) as { max_tokens?: number };
  const tokens = MIN_TOKENS + ((requests++ * 29) % (TEXT.length - MIN_TOKENS));
  const reply = { tokens: TEXT.slice(0, Math.min(tokens, maxTokens)), at: 0 };
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.once("close", () => replies.delete(response));
  if (process.argv[2] === "at-once") {
    while (!response.writableEnded) sendNext(response, reply);
  } else setTimeout(() => replies.set(response, reply), PREFILL_MS);
}

let nextStepAt = performance.now();
function step(): void {
  for (const [response, reply] of replies) sendNext(response, reply);
  const now = performance.now();
  nextStepAt = Math.max(
    now,
    nextStepAt + STEP_MS.firstReply + STEP_MS.eachFurtherReply * Math.max(0, replies.size - 1),
  );
  setTimeout(step, nextStepAt - now);
}

/** Sends the next token of a reply, or its end. */
function sendNext(response: ServerResponse, reply: Reply): void {
  const content = reply.tokens[reply.at++];
  if (content !== undefined) {
    response.write(event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }));
    return;
  }
  response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }));
  response.write(event({ choices: [], usage: { prompt_tokens: 1_000, completion_tokens: reply.tokens.length } }));
  response.end("data: [DONE]\n\n");
  replies.delete(response);
}

function event(data: object): string {
  return `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: "mistral", ...data })}\n\n`;
}

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address)
    console.log(JSON.stringify({ url: `http://127.0.0.1:${address.port}/v1` }));
  step();
});
process.stdin.resume().once("end", () => process.exit());
