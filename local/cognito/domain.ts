import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { getRequestListener } from "@hono/node-server";
import { decodeJwt } from "jose";
import type { Events } from "../support/events";
import { replay } from "../support/http";
import { poolOfResumeCookie } from "./cookies";
import type { Customers } from "./customers";
import type { Directory } from "./directory";
import { hostedApp } from "./hosted";
import type { Pools } from "./pools";

/**
 * Serves the hosted domain of every pool on one port. `/oauth2/…` requests go to the OIDC server of the pool that the
 * client id, token or cookie names. Other requests go to the pages.
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
    // A pending sign-in continues here. The path contains no client, so the cookie names the pool.
    if (url.pathname.startsWith("/oauth2/authorize/"))
      return { request, poolId: poolOfResumeCookie(request.headers.cookie) };
    return { request, poolId: /^\/session\/([^/]+)\/confirm$/.exec(url.pathname)?.[1] };
  };

  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const url = new URL(incoming.url ?? "/", "http://localhost");
    response.setHeader("x-frame-options", "DENY");
    response.setHeader("content-security-policy", "frame-ancestors 'none'");
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

/** A request with a readable body, and its pool. */
interface Addressed {
  request: IncomingMessage;
  poolId: string | undefined;
}

/** `client_id` from the Basic credentials. Without Basic credentials, from the form. */
function clientIdOf(request: IncomingMessage, body: string): string | undefined {
  const basic = /^Basic\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (basic === undefined) return new URLSearchParams(body).get("client_id") ?? undefined;
  return Buffer.from(basic, "base64").toString().split(":")[0];
}

/** Reads the pool's id from a bearer token's `iss` claim. The pool verifies the token later. */
function poolOfToken(authorization: string | undefined): string | undefined {
  try {
    return decodeJwt((authorization ?? "").replace(/^Bearer\s+/i, ""))
      .iss?.split("/")
      .at(-1);
  } catch {
    return undefined;
  }
}
