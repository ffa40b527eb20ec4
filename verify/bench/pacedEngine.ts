import { createServer, type ServerResponse } from "node:http";

/**
 * OpenAI-compatible LLM engine without a model, at the pace of a GPU. As with continuous batching, all running replies
 * get their next token at the same moment, and a step takes longer with more replies. Prints its URL and serves until
 * its standard input ends.
 */

/** Text of all replies. Each reply ends at a different point of this text. Every character is one token. */
const TEXT = Array.from(
  "あら、いらっしゃい。よく来てくれたわね。今夜は甘い桃が入ったのよ、ひと切れいかが？　お飲みものは、まずは薄めの水割りかしら。" +
    "お仕事の話でも、なんでもない話でも、ゆっくり聞かせてちょうだいね。夜は長いもの。帰りの時間だけは、ママが覚えていてあげるから、安心して。",
);
/** Tokens of the shortest reply. */
const MIN_TOKENS = 60;
/** Time from the request to the first token: prefill of a short message, with the persona in the cache. */
const PREFILL_MS = 50;
/**
 * Duration of one step: 14 ms with one reply, 33 ms with 32 replies. This gives 70 and 975 tokens per second in total,
 * like Mistral 7B on an RTX 4090.
 */
const STEP_MS = { firstReply: 14, eachFurtherReply: (33 - 14) / 31 };

/** Running replies: all tokens of each reply, and the index of the token to send next. */
const replies = new Map<ServerResponse, { tokens: string[]; at: number }>();
let requests = 0;

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.end();
    return;
  }
  request.resume().once("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const tokens = TEXT.slice(0, MIN_TOKENS + ((requests++ * 29) % (TEXT.length - MIN_TOKENS)));
    setTimeout(() => replies.set(response, { tokens, at: 0 }), PREFILL_MS);
    response.once("close", () => replies.delete(response));
  });
});

let nextStepAt = performance.now();
function step(): void {
  for (const [response, reply] of replies) {
    const content = reply.tokens[reply.at++];
    if (content !== undefined) {
      response.write(event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }));
      continue;
    }
    response.write(event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }));
    response.write(event({ choices: [], usage: { prompt_tokens: 1_000, completion_tokens: reply.tokens.length } }));
    response.end("data: [DONE]\n\n");
    replies.delete(response);
  }
  const now = performance.now();
  nextStepAt = Math.max(
    now,
    nextStepAt + STEP_MS.firstReply + STEP_MS.eachFurtherReply * Math.max(0, replies.size - 1),
  );
  setTimeout(step, nextStepAt - now);
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
