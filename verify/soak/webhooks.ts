import { createParser } from "eventsource-parser";
import type { CloudEvent } from "../../local/support/events";
import type { Started } from "./cloud";
import type { Tally } from "./tally";

const SERVER_ERROR = /^POST \/webhook\/stripe → (5\d\d.*)$/;

/**
 * Judges every 5xx that Stripe gets from the webhook. No customer sees these answers.
 *
 * @returns a function that stops watching
 */
export function watchWebhooks({ pageUrl }: Started, tally: Tally): () => Promise<void> {
  const stopping = new AbortController();
  const sinceMs = Date.now();
  const parser = createParser({
    onEvent({ data }) {
      const { at, source, summary, durationMs = 0 }: CloudEvent = JSON.parse(data);
      const [, answer] = (source === "http-api" && SERVER_ERROR.exec(summary)) || [];
      if (answer !== undefined && at >= sinceMs) tally.judgeWebhook(answer, durationMs);
    },
  });
  const watching = watch(`${pageUrl}/events`, stopping.signal, (text) => parser.feed(text)).catch((error: unknown) => {
    if (!stopping.signal.aborted)
      tally.unexpectedErrors.push(`The stream with the list of calls failed: ${String(error)}`);
  });
  return () => {
    stopping.abort();
    return watching;
  };
}

async function watch(url: string, signal: AbortSignal, feed: (text: string) => void): Promise<void> {
  const { body } = await fetch(url, { signal });
  for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) feed(text);
  throw new Error("the stream ended");
}
