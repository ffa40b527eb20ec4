import type { LogLine } from "../workers/workers";
import type { RestCall } from "./route";

/** How often a stream looks for new lines, in milliseconds. */
const POLL_MS = 500;
const DEFAULT_TAIL = 100;

/**
 * `GET …/workers/{workerId}/logs`: server-sent events `{ts, source, line}`, first the lines there are (the last `tail` of
 * them, or those after `since` or `Last-Event-ID`), then the new ones until the client hangs up or the worker is gone.
 * There is a system log only: what a container prints goes to a file.
 *
 * @param log the worker's lines; undefined once it is gone
 */
export function workerLog(
  log: () => readonly LogLine[] | undefined,
  { query, lastEventId, gone }: Pick<RestCall, "query" | "lastEventId" | "gone">,
): Response {
  const wantsSystem = (query.get("source") ?? "system").split(",").includes("system");
  const after = lastEventId?.split("/")[0] ?? query.get("since");
  const first = after === null ? log()?.slice(-Number(query.get("tail") ?? DEFAULT_TAIL)) : undefined;
  const isDue = ({ at }: LogLine) => after === null || at > Date.parse(after);
  const encoder = new TextEncoder();
  let sent: LogLine | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stream = new ReadableStream({
    start(controller) {
      const send = () => {
        const lines = log();
        if (!lines || gone.aborted) {
          clearInterval(timer);
          controller.close();
          return;
        }
        const fresh = sent ? lines.slice(lines.indexOf(sent) + 1) : (first ?? lines).filter(isDue);
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
