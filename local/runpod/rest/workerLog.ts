import type { LogLine } from "../account/records";
import type { RestCall } from "./route";

/** Interval at which a stream checks for new lines. */
const POLL_MS = 500;
const DEFAULT_TAIL = 100;

/**
 * `GET …/logs` of a worker or a pod: server-sent events `{ts, source, line}`. The stream starts with existing lines:
 * the newest `tail` lines, or the lines after `since` or `Last-Event-ID`. New lines follow until the client closes the
 * connection or the worker ends. A worker has only system lines, because the double writes the worker's output to a
 * file.
 *
 * @param readLines returns the lines, or undefined after the worker or pod has ended
 * @param sources sources of the lines when the query names none
 * @param isCut whether the stream ends after the existing lines
 */
export function workerLog(
  readLines: () => readonly LogLine[] | undefined,
  { query, lastEventId, hungUp }: Pick<RestCall, "query" | "lastEventId" | "hungUp">,
  sources = "system",
  isCut: () => boolean = () => false,
): Response {
  const wanted = (query.get("source") ?? sources).split(",");
  const after = lastEventId?.split("/")[0] ?? query.get("since");
  const first = after === null ? readLines()?.slice(-Number(query.get("tail") ?? DEFAULT_TAIL)) : undefined;
  const isNewer = ({ at }: LogLine) => after === null || at > Date.parse(after);
  const encoder = new TextEncoder();
  let sent: LogLine | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stream = new ReadableStream({
    start(controller) {
      const send = () => {
        const lines = readLines();
        if (!lines || hungUp.aborted) {
          clearInterval(timer);
          controller.close();
          return;
        }
        const fresh = sent ? lines.slice(lines.indexOf(sent) + 1) : (first ?? lines).filter(isNewer);
        sent = lines.at(-1);
        for (const [index, line] of fresh.entries())
          if (wanted.includes(sourceOf(line))) controller.enqueue(encoder.encode(event(line, index)));
        if (!isCut()) return;
        clearInterval(timer);
        controller.close();
      };
      timer = setInterval(send, POLL_MS);
      send();
    },
    cancel: () => clearInterval(timer),
  });
  const headers = { "content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no" };
  return new Response(stream, { headers });
}

function sourceOf({ source = "system" }: LogLine): "system" | "container" {
  return source;
}

function event(entry: LogLine, index: number): string {
  const { at, line } = entry;
  const ts = new Date(at).toISOString();
  const id = `${ts}/${String(index).padStart(12, "0")}`;
  return `id: ${id}\ndata: ${JSON.stringify({ ts, source: sourceOf(entry), line })}\n\n`;
}
