import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { type Listening, listen } from "../support/http";

/** Engine behind a forwarder. */
export interface EngineAddress {
  /** Loopback port. */
  port: number;
  /**
   * Key without which the engine refuses chats. The key is needed because an engine accepts any `Host`, so any web page
   * could call it.
   */
  apiKey: string;
}

/**
 * Starts a server on a free loopback port that forwards each request to an engine, with the engine's key. Like every
 * server of the local cloud, it answers only requests to a loopback name.
 *
 * @param name display name of the server
 * @param pick selects the engine of a request
 */
export function startForwarder(
  name: string,
  pick: (request: IncomingMessage, body: Buffer) => EngineAddress,
): Promise<Listening> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request);
    forward(request, body, response, pick(request, body));
  };
  return listen(name, 0, (request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
}

function forward(
  { method, url: path, headers }: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  { port, apiKey }: EngineAddress,
): void {
  const authorized = { ...headers, authorization: `Bearer ${apiKey}` };
  const upstream = httpRequest({ host: "127.0.0.1", port, method, path, headers: authorized }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  upstream.once("error", () => response.destroy());
  // When the reader disconnects, disconnect from the engine, so that the engine aborts the reply.
  response.once("close", () => upstream.destroy());
  upstream.end(body);
}
