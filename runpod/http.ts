import { RunpodError } from "./error";
import { redact } from "./redact";
import { retryAfterMs } from "./retryAfter";
import { unansweredReason } from "./unanswered";

/** One call of a JSON API. */
interface Call {
  /** What it is for, in an error's words. */
  operation: string;
  method: "GET" | "POST" | "PATCH" | "DELETE";
  url: string;
  apiKey: string;
  body?: object;
  timeoutMs: number;
}

/** What came back, whatever the status. */
export interface Answer {
  status: number;
  /** Parsed; undefined when it was empty or not JSON. */
  body: unknown;
  retryAfterMs: number | undefined;
}

/**
 * Calls a JSON API of RunPod.
 *
 * @throws RunpodError, transient, when there was no answer
 */
export async function callJson({ operation, method, url, apiKey, body, timeoutMs }: Call): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        accept: "application/json",
        ...(body && { "content-type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text), retryAfterMs: retryAfterMs(response.headers) };
  } catch (error) {
    const reason = redact(unansweredReason(error, timeoutMs), [apiKey]);
    throw new RunpodError(`RunPod did not answer ${operation}: ${reason}`, { transient: true });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
