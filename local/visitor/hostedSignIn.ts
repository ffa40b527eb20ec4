/** A customer's credentials. */
export interface Credentials {
  email: string;
  password: string;
}

/**
 * Maximum number of requests per sign-in. A sign-in with authorization code and PKCE needs six requests, a sign-up
 * needs nine.
 */
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
  const pages = new HostedPages(redirectUri, `${who.email} cannot sign in`);
  const page = await pages.open(authorizeUrl);
  return pages.callbackOf(await pages.submit(page, { username: who.email, password: who.password }));
}

/**
 * Creates an account through Cognito's hosted pages, confirms the account with the e-mailed code, and signs in.
 *
 * @param signUpUrl the result of `startSignIn({ signUp: true })`
 * @param redirectUri the client's callback URL
 * @param readCode returns the code of Cognito's e-mail to the customer. Called after the first form
 * @returns the callback URL with `code` and `state`
 * @throws Error with the page's message when the pages do not lead to the callback URL
 */
export async function signUpByForm(
  signUpUrl: string,
  redirectUri: string,
  who: Credentials,
  readCode: () => Promise<string>,
): Promise<string> {
  const pages = new HostedPages(redirectUri, `${who.email} cannot sign up`);
  const page = await pages.open(signUpUrl);
  const confirm = await pages.submit(page, { username: who.email, password: who.password });
  return pages.callbackOf(await pages.submit(confirm, { username: who.email, code: await readCode() }));
}

/** A page of the sign-in. `html` is undefined for the callback URL, to which the pages have redirected. */
interface Page {
  url: string;
  html?: string;
}

/** The pages of one sign-in, with the cookies of one browser. */
class HostedPages {
  private readonly cookies = new Map<string, string>();
  private hops = 0;

  constructor(
    private readonly redirectUri: string,
    private readonly failure: string,
  ) {}

  /** Opens a URL, or submits a form to it, and follows the redirects. */
  async open(url: string, form?: URLSearchParams): Promise<Page> {
    if (++this.hops > MAX_HOPS)
      throw new Error(`${this.failure}: more than ${MAX_HOPS} redirects, most recently to ${new URL(url).pathname}`);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...(form && { method: "POST", body: form }),
      headers: { cookie },
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      this.cookies.set(name, value);
    }
    const location = response.headers.get("location");
    if (!location) return { url, html: await response.text() };
    const next = new URL(location, url).href;
    return next.startsWith(this.redirectUri) ? { url: next } : this.open(next);
  }

  submit({ url, html = "" }: Page, fields: Record<string, string>): Promise<Page> {
    const [, csrf = ""] = /name="_csrf" value="([^"]+)"/.exec(html) ?? [];
    return this.open(url, new URLSearchParams({ _csrf: csrf, ...fields }));
  }

  /** @throws Error with the page's message when the page is not the callback */
  callbackOf({ url, html }: Page): string {
    if (html === undefined) return url;
    const [, alert = `the pages did not lead to ${this.redirectUri}`] = /role="alert">([^<]+)</.exec(html) ?? [];
    throw new Error(`${this.failure}: ${alert}`);
  }
}
