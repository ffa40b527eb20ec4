/** A customer's credentials. */
export interface Credentials {
  email: string;
  password: string;
}

/** Limit of requests per sign-in. A sign-in with authorization code and PKCE needs only six. */
const MAX_HOPS = 20;

/**
 * Signs in through Cognito's hosted pages without a browser: opens the authorize URL, submits the form and follows the
 * redirects with cookies.
 *
 * @param authorizeUrl the result of `startSignIn`
 * @param redirectUri the client's callback URL
 * @returns the callback URL with `code` and `state`
 * @throws Error with the page's message when the pages do not lead to the callback URL
 */
export async function signInByForm(authorizeUrl: string, redirectUri: string, who: Credentials): Promise<string> {
  const cookies = new Map<string, string>();
  let hops = 0;
  const visit = async (url: string, form?: URLSearchParams): Promise<{ url: string; html?: string }> => {
    if (++hops > MAX_HOPS)
      throw new Error(
        `The sign-in as ${who.email} caused more than ${MAX_HOPS} redirects, the last one to ${new URL(url).pathname}`,
      );
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...(form && { method: "POST", body: form }),
      headers: { cookie },
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    if (!location) return { url, html: await response.text() };
    const next = new URL(location, url).href;
    return next.startsWith(redirectUri) ? { url: next } : visit(next);
  };

  const page = await visit(authorizeUrl);
  const [, csrf = ""] = /name="_csrf" value="([^"]+)"/.exec(page.html ?? "") ?? [];
  const form = new URLSearchParams({ _csrf: csrf, username: who.email, password: who.password });
  const done = await visit(page.url, form);
  if (done.html !== undefined) {
    const [, alert = `the pages did not lead to ${redirectUri}`] = /role="alert">([^<]+)</.exec(done.html) ?? [];
    throw new Error(`${who.email} cannot sign in: ${alert}`);
  }
  return done.url;
}
