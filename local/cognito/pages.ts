import { html, raw } from "hono/html";
import type { KnownCustomer } from "./customer";
import { type Language, words } from "./translations";

type Html = ReturnType<typeof html>;

const style = raw(`
:root { color-scheme: light dark; --ink: #16191f; --soft: #5f6b7a; --line: #d5dbdb; --paper: #fff; --ground: #f3f5f7; --accent: #7a1f3d; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f3f3; --soft: #a5b0bd; --line: #3b4656; --paper: #1b232d; --ground: #0f141a; --accent: #e58aa8; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--ground); color: var(--ink);
  font: 16px/1.6 system-ui, "Hiragino Sans", "Noto Sans JP", "Yu Gothic UI", sans-serif }
main { width: 100%; max-width: 420px; background: var(--paper); border: 1px solid var(--line); border-radius: 16px; padding: 32px }
header { display: flex; justify-content: space-between; align-items: baseline }
h1 { margin: 0; font-size: 24px }
p { margin: 8px 0 20px; color: var(--soft); font-size: 14px }
a { color: var(--accent); font-size: 14px }
form { display: grid; gap: 12px; margin: 0 }
label { display: grid; gap: 4px; font-size: 14px; font-weight: 600 }
input, button { font: inherit; font-weight: 400; border-radius: 10px; padding: 10px 14px; border: 1px solid var(--line); background: transparent; color: inherit; width: 100% }
button { cursor: pointer; text-align: left; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; align-items: baseline }
button:hover, button:focus-visible, input:focus-visible { border-color: var(--accent); outline: 1px solid var(--accent) }
button span { color: var(--soft); font-size: 14px; overflow-wrap: anywhere }
button.main { background: var(--accent); border-color: var(--accent); color: var(--paper); justify-content: center; font-weight: 600 }
hr { border: 0; border-top: 1px solid var(--line); margin: 24px 0 }
footer { display: grid; gap: 6px; margin-top: 20px; font-size: 14px; color: var(--soft) }
.alert { border: 1px solid var(--bad); color: var(--bad); border-radius: 10px; padding: 10px 14px; margin: 16px 0 }
`);

function page(language: Language, title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${style}</style>
</head>
<body><main>${body}</main></body>
</html>`;
}

/** Content of the sign-in page. */
export interface LoginView {
  language: Language;
  customers: readonly KnownCustomer[];
  /** Query of the page, kept in its links. */
  query: URLSearchParams;
  csrf: string;
  /** Reason the last attempt failed. */
  alert?: "incorrect" | "stale";
  /** The e-mail address to fill in. */
  email?: string;
}

/** Renders the sign-in page: a button per seeded customer, and Cognito's form. External values are escaped. */
export function loginPage({ language, customers, query, csrf, alert, email }: LoginView): Html {
  const text = words[language];
  const other = new URLSearchParams(query);
  other.set("lang", language === "ja" ? "en" : "ja");
  return page(
    language,
    text.signIn,
    html`
<header><h1>${text.signIn}</h1><a href="/login?${other.toString()}">${text.other}</a></header>
<p>${text.intro}</p>
${alert ? html`<div class="alert" role="alert">${text[alert]}</div>` : ""}
<form method="post">
<input type="hidden" name="_csrf" value="${csrf}">
${customers.map((customer) => html`<button name="customer" value="${customer.sub}">${customer.label} <span>${customer.email}</span></button>`)}
</form>
<hr>
<form method="post">
<input type="hidden" name="_csrf" value="${csrf}">
<label>${text.email}<input name="username" type="email" autocomplete="username" required value="${email ?? ""}"></label>
<label>${text.password}<input name="password" type="password" autocomplete="current-password" required></label>
<button class="main">${text.signIn}</button>
</form>
<footer>
<a href="/forgotPassword?${query.toString()}">${text.forgot}</a>
<div>${text.noAccount} <a href="/signup?${query.toString()}">${text.signUp}</a></div>
</footer>`,
  );
}

/** Renders `/signup` and `/forgotPassword`: a note that local customers are seeded. */
export function seededPage(title: "signUp" | "forgot", language: Language, query: URLSearchParams): Html {
  const text = words[language];
  return page(
    language,
    text[title],
    html`<h1>${text[title]}</h1><p>${text.seeded}</p><a href="/login?${query.toString()}">${text.back}</a>`,
  );
}

/** Renders Cognito's error page for a request that cannot be redirected to the app, such as `redirect_mismatch`. */
export function errorPage(message: string): Html {
  return page(
    "en",
    "Error",
    html`<h1>An error was encountered with the requested page.</h1><div class="alert" role="alert">${message}</div>`,
  );
}

/** Renders managed login's page for an app client without a branding. */
export function unavailablePage(): Html {
  return page(
    "en",
    "Login pages unavailable",
    html`<h1>Login pages unavailable</h1><p>Please contact an administrator.</p>`,
  );
}
