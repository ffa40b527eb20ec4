import type { Request } from "./http";

/**
 * Chooses the URL that Stripe's pages return to: the configured URL with the request's origin, else the first. A
 * request can choose one but cannot add one.
 */
export function returnUrlFor(event: Request, returnUrls: string[]): string {
  const { origin } = event.headers;
  const [first = ""] = returnUrls;
  return returnUrls.find((url) => new URL(url).origin === origin) ?? first;
}

/** Adds a query parameter that tells the frontend the outcome. */
export function withQuery(url: string, name: string, value: string): string {
  const extended = new URL(url);
  extended.searchParams.set(name, value);
  return extended.href;
}
