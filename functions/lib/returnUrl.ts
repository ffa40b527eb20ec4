import type { Request } from "./http";

/**
 * Where Stripe's pages come back to: of the configured URLs the one of the origin that the request comes from, or else the
 * first. The request chooses among them and can add none.
 */
export function returnUrlFor(event: Request, returnUrls: string[]): string {
  const { origin } = event.headers;
  const [first = ""] = returnUrls;
  return returnUrls.find((url) => new URL(url).origin === origin) ?? first;
}

/** The URL with one more query parameter, which tells the frontend what happened. */
export function withQuery(url: string, name: string, value: string): string {
  const extended = new URL(url);
  extended.searchParams.set(name, value);
  return extended.href;
}
