import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ResponseSink } from "../lambda/sandbox";

/** Limits of one streamed response. */
export interface StreamLimits {
  /** Bytes that are sent at full speed. */
  burstBytes: number;
  /** Speed after the burst. */
  bytesPerSecond: number;
  /** Lambda closes the connection after this number of bytes. */
  maxBytes: number;
}

const MB = 1024 * 1024;
/** Limits of AWS: "Bandwidth limits for response streaming" and the quotas of Lambda, as of July 2025. */
export const AWS_STREAM_LIMITS: StreamLimits = { burstBytes: 6 * MB, bytesPerSecond: 2 * MB, maxBytes: 200 * MB };

/** Content type of a stream that starts with status and headers as JSON, followed by `DELIMITER` and the body. */
const WITH_PRELUDE = "application/vnd.awslambda.http-integration-response";
const DELIMITER = Buffer.alloc(8);

/** Header lines in their order. A name may occur more than once. */
export type HeaderLines = HeaderLine[];
type HeaderLine = [name: string, value: string];

/** Settings of a streamed response. */
export interface StreamedResponseOptions {
  outgoing: ServerResponse;
  /** Headers that Lambda adds to the function's headers. */
  added: HeaderLines;
  limits: StreamLimits;
  /** Time at which the function times out, in milliseconds of `performance.now()`. */
  deadlineMs: number;
}

/**
 * Writes a streamed response of a function to a client, with the known faults of Lambda:
 *
 * - It keeps each chunk until the next write or the end (aws-lambda-nodejs-runtime-interface-client#102).
 * - A response without a body never ends: the client waits until the function's timeout (the same repository, #95).
 * - The function does not learn that its client has disconnected (#145). Its writes succeed, and their data is lost.
 */
export class StreamedResponse implements ResponseSink {
  private held: Uint8Array | undefined;
  /** Received bytes of status and headers. Undefined after the body has begun. */
  private prelude: Buffer | undefined;
  private contentType = "";
  private bodyBytes = 0;
  /** The earliest time of the next byte after the burst, in milliseconds of `performance.now()`. */
  private nextByteAtMs = 0;
  private deliveries: Promise<void> = Promise.resolve();
  private hasEnded = false;
  /** Whether the response has ended or failed. */
  private isOver = false;

  constructor(private readonly options: StreamedResponseOptions) {}

  start(contentType: string): void {
    this.contentType = contentType;
    if (contentType === WITH_PRELUDE) this.prelude = Buffer.alloc(0);
  }

  write(chunk: Uint8Array): Promise<void> {
    // The first write only sends the headers. The next write sends the first chunk.
    const previous = this.held ?? new Uint8Array();
    this.held = chunk;
    return this.deliver(previous);
  }

  end(): void {
    const last = this.held;
    this.held = undefined;
    this.hasEnded = true;
    void this.deliver(last ?? new Uint8Array()).then(() => this.finish(last !== undefined));
  }

  /**
   * Ends the response of a failed function. Sends a 502. If the headers were already sent, closes the connection. Does
   * nothing when the function had already ended its stream.
   */
  fail(): void {
    if (!this.hasEnded) this.abort();
  }

  private abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    const { outgoing, added } = this.options;
    // Sends the pending bytes and closes the connection without the final chunk, so the client notices the failure.
    if (outgoing.headersSent) outgoing.socket?.destroySoon();
    else sendError(outgoing, added);
  }

  /** Sends chunks one after another. An invalid header fails the response. */
  private deliver(chunk: Uint8Array): Promise<void> {
    this.deliveries = this.deliveries.then(() => this.send(chunk)).catch(() => this.abort());
    return this.deliveries;
  }

  private async send(chunk: Uint8Array): Promise<void> {
    const { outgoing, limits } = this.options;
    if (this.isOver || outgoing.destroyed) return;
    const body = this.withoutPrelude(chunk);
    if (body === undefined) return;
    const allowed = body.subarray(0, limits.maxBytes - this.bodyBytes);
    for (const slice of this.slices(allowed)) await this.sendSlice(slice);
    if (allowed.byteLength < body.byteLength) this.abort();
  }

  /**
   * Splits a chunk into parts. The first part still belongs to the burst. Each other part takes at most 50 ms to send.
   */
  private *slices(chunk: Uint8Array): Generator<Uint8Array> {
    const { burstBytes, bytesPerSecond } = this.options.limits;
    for (let from = 0; from < chunk.byteLength; ) {
      const burstLeft = burstBytes - this.bodyBytes;
      const length = burstLeft > 0 ? burstLeft : Math.ceil(bytesPerSecond / 20);
      yield chunk.subarray(from, from + length);
      from += length;
    }
  }

  private async sendSlice(slice: Uint8Array): Promise<void> {
    const { outgoing, limits } = this.options;
    if (this.bodyBytes >= limits.burstBytes) {
      const nowMs = performance.now();
      if (this.nextByteAtMs > nowMs) await sleep(this.nextByteAtMs - nowMs);
      this.nextByteAtMs = Math.max(this.nextByteAtMs, nowMs) + (slice.byteLength / limits.bytesPerSecond) * 1000;
    }
    // During the pause, the function may have timed out or the client may have disconnected.
    if (this.isOver || outgoing.destroyed) return;
    this.bodyBytes += slice.byteLength;
    if (!outgoing.write(slice) && !outgoing.destroyed) await drained(outgoing);
  }

  /** Sends the headers as soon as they are complete. Returns the part of a chunk that belongs to the body. */
  private withoutPrelude(chunk: Uint8Array): Uint8Array | undefined {
    if (this.prelude === undefined) {
      if (!this.options.outgoing.headersSent) this.sendHead(200, [["content-type", this.contentType]]);
      return chunk;
    }
    this.prelude = Buffer.concat([this.prelude, chunk]);
    const end = this.prelude.indexOf(DELIMITER);
    if (end === -1) return undefined;
    const { status, headers } = headOf(this.prelude.subarray(0, end));
    const body = this.prelude.subarray(end + DELIMITER.byteLength);
    this.prelude = undefined;
    this.sendHead(status, headers);
    return body;
  }

  private sendHead(status: number, headers: HeaderLines): void {
    const { outgoing, added } = this.options;
    outgoing.writeHead(status, [...headers, ...added].flat());
    outgoing.flushHeaders();
  }

  private finish(hasWritten: boolean): void {
    const { outgoing, deadlineMs } = this.options;
    if (this.prelude !== undefined && hasWritten) this.abort();
    if (this.isOver) return;
    this.isOver = true;
    if (this.bodyBytes > 0) {
      outgoing.end();
      return;
    }
    // A stream that was ended without a write has lost its status and headers
    // (aws-lambda-nodejs-runtime-interface-client#97).
    if (!outgoing.headersSent) this.sendHead(200, [["content-type", "application/octet-stream"]]);
    const timer = setTimeout(() => outgoing.destroy(), deadlineMs - performance.now());
    outgoing.once("close", () => clearTimeout(timer));
  }
}

/** Sends Lambda's response to a failed function. */
export function sendError(outgoing: ServerResponse, added: HeaderLines): void {
  const text = "Internal Server Error";
  const headers: HeaderLines = [
    ["content-type", "application/json"],
    ["content-length", String(text.length)],
  ];
  outgoing.writeHead(502, [...headers, ...added].flat()).end(text);
}

/**
 * Parses status, headers and cookies.
 *
 * @throws Error when the JSON or the status is malformed
 */
function headOf(json: Buffer): { status: number; headers: HeaderLines } {
  const { statusCode = 200, headers = {}, cookies = [] } = JSON.parse(json.toString()) ?? {};
  const lines = Object.entries(headers).map(([name, value]): HeaderLine => [name, String(value)]);
  if (!lines.some(([name]) => name.toLowerCase() === "content-type")) {
    lines.unshift(["content-type", "application/octet-stream"]);
  }
  if (!Number.isInteger(statusCode) || statusCode < 200) throw new Error(`Malformed status code: ${statusCode}`);
  return { status: statusCode, headers: [...lines, ...cookies.map((one: unknown) => ["set-cookie", String(one)])] };
}

/** Resolves when a slow client has read the pending bytes or has disconnected. */
function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      outgoing.off("drain", done).off("close", done);
      resolve();
    };
    outgoing.on("drain", done).on("close", done);
  });
}
