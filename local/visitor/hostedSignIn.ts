/** Who signs in. */
export interface Credentials {
  email: string;
  password: string;
}

/** Code and PKCE takes six. */
const MAX_HOPS = 20;

/**
 * Walks Cognito's hosted pages without a browser: opens the authorize URL, fills in the form, follows the redirects with
 * the cookies that are set on the way.
 *
 * @param authorizeUrl what `startSignIn` gives
 * @param redirectUri where the pages come back to
 * @returns the callback URL, with `code` and `state`
 * @throws Error when the pages do not lead there
 */
export async function signInByForm(authorizeUrl: string, redirectUri: string, who: Credentials): Promise<string> {
  const cookies = new Map<string, string>();
  let hops = 0;
  const visit = async (url: string, form?: URLSearchParams): Promise<{ url: string; html?: string }> => {
    if (++hops > MAX_HOPS)
      throw new Error(`Signing in as ${who.email} goes round in circles at ${new URL(url).pathname}`);
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
  if (done.html !== undefined) throw new Error(`Signing in as ${who.email} did not lead to ${redirectUri}`);
  return done.url;
}
