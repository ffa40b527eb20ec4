import { IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { getRequestListener } from "@hono/node-server";
import { decodeJwt } from "jose";
import type { Events } from "../support/events";
import { poolOfResumeCookie } from "./cookies";
import type { Customers } from "./customer";
import type { Directory } from "./directory";
import { hostedApp } from "./hosted";
import type { Pools } from "./pools";

/**
 * The hosted domain of every pool, on one port. `/oauth2/…` goes to the OIDC server of the request's pool, found by the
 * client it names, or by its token or cookie where it names none. All else, and what finds no pool, goes to the pages.
 */
export function domainListener(
  directory: Directory,
  pools: Pools,
  customers: Customers,
  events: Events,
): RequestListener {
  const pages = getRequestListener(hostedApp(directory, pools, customers, events).fetch);
  const poolIdOf = async (request: IncomingMessage, url: URL): Promise<Addressed> => {
    switch (`${request.method} ${url.pathname}`) {
      case "GET /oauth2/authorize":
        return { request, poolId: directory.client(url.searchParams.get("client_id") ?? "")?.poolId };
      case "POST /oauth2/token":
      case "POST /oauth2/revoke": {
        const body = await text(request);
        return { request: replay(request, body), poolId: directory.client(clientIdOf(request, body) ?? "")?.poolId };
      }
      case "GET /oauth2/userInfo":
      case "POST /oauth2/userInfo":
        return { request, poolId: poolOfToken(request.headers.authorization) };
    }
    // Where a sign-in goes on. The path names no client, but the cookie that comes with it names the pool.
    if (url.pathname.startsWith("/oauth2/authorize/"))
      return { request, poolId: poolOfResumeCookie(request.headers.cookie) };
    return { request, poolId: /^\/session\/([^/]+)\/confirm$/.exec(url.pathname)?.[1] };
  };

  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const url = new URL(incoming.url ?? "/", "http://localhost");
    const { request, poolId } = await poolIdOf(incoming, url);
    if (poolId && directory.hasPool(poolId) && directory.hasDomain(poolId)) {
      await pools.get(poolId).handle(request, response);
    } else {
      await pages(request, response);
    }
  };

  return (request, response) => {
    answer(request, response).catch((error: Error) => {
      events.emit({ source: "cognito", summary: `internal error: ${error.message}` });
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    });
  };
}

/** A request, ready to be read, and the pool it is for. */
interface Addressed {
  request: IncomingMessage;
  poolId: string | undefined;
}

/** `client_id` of Basic credentials, else of the form. */
function clientIdOf(request: IncomingMessage, body: string): string | undefined {
  const basic = /^Basic\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (basic === undefined) return new URLSearchParams(body).get("client_id") ?? undefined;
  return Buffer.from(basic, "base64").toString().split(":")[0];
}

/** The pool a bearer token says it is of. Whether that is true is for the pool to verify. */
function poolOfToken(authorization: string | undefined): string | undefined {
  try {
    return decodeJwt((authorization ?? "").replace(/^Bearer\s+/i, ""))
      .iss?.split("/")
      .at(-1);
  } catch {
    return undefined;
  }
}

/** The same request with its body, read to find the pool, to be read once more. */
function replay(request: IncomingMessage, body: string): IncomingMessage {
  const again = new IncomingMessage(request.socket);
  Object.assign(again, { method: request.method, url: request.url, headers: request.headers, complete: true });
  again.push(body);
  again.push(null);
  return again;
}
