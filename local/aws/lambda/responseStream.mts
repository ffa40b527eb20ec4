/**
 * Response streaming of Lambda's Node runtime: the global `awslambda`, and the stream that a streaming handler gets.
 * Follows aws-lambda-ric 3.3.0. Runs in the worker thread, so it uses only erasable TypeScript.
 */
import { Writable } from "node:stream";
import type { FromWorker } from "./sandbox.ts";

/** A buffered or streaming handler. */
export type Handler = (...parameters: unknown[]) => unknown;

/** Sends a message to the sandbox. */
type Post = (message: FromWorker, transfer?: ArrayBuffer[]) => void;

const MARKER = Symbol.for("aws.lambda.runtime.handler.streaming");
/** Content type of a stream that starts with status and headers. */
const WITH_PRELUDE = "application/vnd.awslambda.http-integration-response";
const DELIMITER_BYTES = 8;
/** Limit of unacknowledged bytes. At this limit, further bytes wait in the handler's stream. */
const WINDOW_BYTES = 64 * 1024;

/**
 * Members of `Writable` that the runtime copies to the handler's stream. As in AWS, that stream is not a `Writable`.
 */
const METHODS = [
  ...["cork", "destroy", "uncork", "addListener", "emit", "eventNames", "getMaxListeners", "listenerCount"],
  ...["listeners", "off", "on", "once", "prependListener", "prependOnceListener", "rawListeners"],
  ...["removeAllListeners", "removeListener", "setMaxListeners"],
] as const;
const PROPERTIES = [
  ...["destroyed", "writable", "writableFinished", "writableObjectMode", "writableEnded", "writableNeedDrain"],
  ...["writableHighWaterMark", "writableCorked", "writableLength"],
] as const;

/** The stream of one invocation. */
export interface ResponseStream {
  /** The object for the handler. */
  stream: object;
  /**
   * Resolves when the handler has ended the stream and the last chunk is sent. Rejects after an error of the stream.
   */
  finished: Promise<void>;
  /** Records that the sandbox has processed `bytes` bytes. */
  acknowledge(bytes: number): void;
}

/** Defines the global `awslambda`, as the Node runtimes of AWS do before they load the function. */
export function defineGlobal(): void {
  const streamifyResponse = (handler: Handler) => Object.assign(handler, { [MARKER]: "response" });
  const HttpResponseStream = {
    from(stream: ReturnType<typeof handlerStream>, prelude: unknown) {
      stream.setContentType(WITH_PRELUDE);
      const metadata = JSON.stringify(prelude);
      stream._onBeforeFirstWrite = (write) => {
        write(metadata);
        write(new Uint8Array(DELIMITER_BYTES));
      };
      return stream;
    },
  };
  Object.assign(globalThis, { awslambda: { streamifyResponse, HttpResponseStream } });
}

/**
 * Whether a handler streams its response.
 *
 * @throws Error for an unknown kind of streaming
 */
export function isStreaming(handler: Handler): boolean {
  const marker: unknown = Reflect.get(handler, MARKER);
  if (marker === undefined || marker === null || marker === false) return false;
  if (marker === "response") return true;
  throw Object.assign(new Error("Only response streaming is supported."), {
    name: "Runtime.MalformedStreamingHandler",
  });
}

/** Creates the stream of one invocation. Its chunks go to `post`. */
export function createResponseStream(post: Post): ResponseStream {
  const sender = new Sender(post);
  const finished = new Promise<void>((resolve, reject) => {
    sender.once("finish", resolve).once("error", reject);
  });
  // When the handler fails, nothing awaits `finished`. Its rejection must not count as unhandled.
  finished.catch(() => {});
  return { stream: handlerStream(sender, post), finished, acknowledge: (bytes) => sender.acknowledge(bytes) };
}

/** Sends chunks to the sandbox. Pauses while too many bytes are unacknowledged. */
class Sender extends Writable {
  private readonly post: Post;
  private unacknowledgedBytes = 0;
  private resume: (() => void) | undefined;

  constructor(post: Post) {
    super();
    this.post = post;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (chunk.byteLength === 0) {
      // Skips an empty chunk, as Node's streams do, because HTTP has no empty chunk.
      done();
      return;
    }
    // A copy, because a small Buffer is a view of Node's shared pool, and the pool cannot move to another thread.
    const copy = new Uint8Array(chunk);
    this.unacknowledgedBytes += copy.byteLength;
    this.post({ type: "chunk", chunk: copy }, [copy.buffer]);
    if (this.unacknowledgedBytes < WINDOW_BYTES) done();
    else this.resume = done;
  }

  override _final(done: () => void): void {
    this.post({ type: "end" });
    done();
  }

  acknowledge(bytes: number): void {
    this.unacknowledgedBytes -= bytes;
    if (this.unacknowledgedBytes >= WINDOW_BYTES) return;
    const { resume } = this;
    this.resume = undefined;
    resume?.();
  }
}

/** The handler's view of a sender. */
function handlerStream(sender: Sender, post: Post) {
  let contentType = "application/octet-stream";
  let isStarted = false;
  const start = () => {
    if (!isStarted) post({ type: "start", contentType });
    isStarted = true;
  };
  const stream = {
    _onBeforeFirstWrite: undefined as ((write: (chunk: string | Uint8Array) => void) => void) | undefined,
    setContentType(type: string): void {
      if (isStarted) throw new Error("Cannot set content-type, too late.");
      contentType = type;
    },
    write(chunk: unknown, ...rest: unknown[]): boolean {
      if (!isStarted) {
        start();
        stream._onBeforeFirstWrite?.((first) => sender.write(first));
      }
      const bytes = typeof chunk === "string" || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk);
      return Reflect.apply(sender.write, sender, [bytes, ...rest]);
    },
    // As in AWS, `end(chunk)` without an earlier write sends no status and headers. Lambda then answers 502
    // (aws-lambda-nodejs-runtime-interface-client#97). As in AWS, `end` ignores its second and third parameter.
    end(chunk?: unknown): void {
      start();
      Reflect.apply(sender.end, sender, [chunk]);
    },
  };
  for (const name of METHODS) Object.assign(stream, { [name]: Reflect.get(sender, name).bind(sender) });
  for (const name of PROPERTIES) Object.defineProperty(stream, name, { get: () => Reflect.get(sender, name) });
  return stream;
}
