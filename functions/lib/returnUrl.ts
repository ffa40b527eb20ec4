import type { Request } from "./http";

/**
 * Chooses the URL that Stripe's pages return to. This is the configured URL with the request's origin. If there is
 * none, it is the first configured URL. A request can therefore never add a URL.
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
