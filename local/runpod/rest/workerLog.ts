import type { LogLine } from "../workers/fleet";
import type { RestCall } from "./route";

/** Interval at which a stream checks for new lines. */
const POLL_MS = 500;
const DEFAULT_TAIL = 100;

/**
 * `GET …/workers/{workerId}/logs`: server-sent events `{ts, source, line}`. The stream starts with the existing lines:
 * the last `tail` lines, or the lines after `since` or `Last-Event-ID`. New lines follow until the client closes the
 * connection or the worker ends. Only system lines exist, because the double writes a container's output to a file.
 *
 * @param readLines returns the worker's lines, or undefined after the worker has ended
 */
export function workerLog(
  readLines: () => readonly LogLine[] | undefined,
  { query, lastEventId, hungUp }: Pick<RestCall, "query" | "lastEventId" | "hungUp">,
): Response {
  const wantsSystem = (query.get("source") ?? "system").split(",").includes("system");
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
        for (const [index, line] of wantsSystem ? fresh.entries() : [])
          controller.enqueue(encoder.encode(event(line, index)));
      };
      timer = setInterval(send, POLL_MS);
      send();
    },
    cancel: () => clearInterval(timer),
  });
  const headers = { "content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no" };
  return new Response(stream, { headers });
}

function event({ at, line }: LogLine, index: number): string {
  const ts = new Date(at).toISOString();
  const id = `${ts}/${String(index).padStart(12, "0")}`;
  return `id: ${id}\ndata: ${JSON.stringify({ ts, source: "system", line })}\n\n`;
}
