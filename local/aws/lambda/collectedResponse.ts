import type { ResponseSink } from "./sandbox";

/** Collects a streamed response for an invocation that returns only when the function has ended. */
export class CollectedResponse implements ResponseSink {
  private readonly chunks: Uint8Array[] = [];

  start(): void {}

  async write(chunk: Uint8Array): Promise<void> {
    this.chunks.push(chunk);
  }

  end(): void {}

  /**
   * All bytes, parsed as JSON if possible. Status and headers of `HttpResponseStream.from` are part of the text,
   * because only a function URL in the mode RESPONSE_STREAM separates them.
   */
  get result(): unknown {
    const text = Buffer.concat(this.chunks).toString();
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
}
