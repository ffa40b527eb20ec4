import { html, raw } from "hono/html";
import type { KnownCustomer } from "./customers";
import type { PoolRules } from "./directory";
import { type Language, policyLines, words } from "./translations";

/** Rendered HTML. */
export type Html = ReturnType<typeof html>;

const style = raw(`
:root { color-scheme: light dark; --ink: #16191f; --soft: #5f6b7a; --line: #d5dbdb; --paper: #fff; --ground: #f3f5f7; --accent: #7a1f3d; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f3f3; --soft: #a5b0bd; --line: #3b4656; --paper: #1b232d; --ground: #0f141a; --accent: #e58aa8; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; word-break: auto-phrase; min-height: 100vh; display: grid; place-items: center; padding: 24px; background: var(--ground); color: var(--ink);
  font: 16px/1.6 system-ui, "Hiragino Sans", "Noto Sans JP", "Yu Gothic UI", sans-serif }
main { width: 100%; max-width: 420px; background: var(--paper); border: 1px solid var(--line); border-radius: 16px; padding: 32px }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 0 16px }
header a, footer a { white-space: nowrap }
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
ul { margin: 0; padding-left: 20px; color: var(--soft); font-size: 14px; font-weight: 400 }
button.link { border: 0; padding: 0; color: var(--accent); text-decoration: underline; font-size: 14px; width: auto }
button.link:hover, button.link:focus-visible { outline-offset: 4px }
.notice { border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px; margin: 16px 0; font-size: 14px }
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

/** Content of a page of a pending sign-in. */
export interface PageView {
  language: Language;
  /** Path of the page, for the link to the other language. */
  path: string;
  /** Query of the sign-in, kept in the page's links. */
  query: URLSearchParams;
  csrf: string;
  /** Users who can sign in with one click, without a password. */
  customers: readonly KnownCustomer[];
  rules: PoolRules;
  /** The e-mail address to fill in. */
  email: string;
  /** Reason of the failed attempt before this page. */
  alert?: string;
  /** Whether the customer has just set a new password. */
  hasNewPassword: boolean;
}

/** Renders the sign-in page: a button per customer, and Cognito's form. External values are escaped. */
export function loginPage(view: PageView): Html {
  const text = words[view.language];
  const { query, customers, rules } = view;
  return userPage(
    view,
    text.signIn,
    text.intro,
    html`
${view.hasNewPassword ? html`<div class="notice" role="status">${text.hasNewPassword}</div>` : ""}
${form(
  view,
  html`${customers.map((customer) => html`<button name="customer" value="${customer.sub}">${customer.label} <span>${customer.email}</span></button>`)}`,
)}
<hr>
${form(view, html`${emailField(view)}${passwordField(text.password, "current-password")}<button class="main">${text.signIn}</button>`)}
<footer>
<a href="/forgotPassword?${query.toString()}">${text.forgot}</a>
${rules.allowsSignUp ? html`<div>${text.noAccount} <a href="/signup?${query.toString()}">${text.signUp}</a></div>` : ""}
</footer>`,
  );
}

/** Renders the page on which a new customer chooses e-mail address and password. */
export function signUpPage(view: PageView): Html {
  const text = words[view.language];
  return userPage(
    view,
    text.signUp,
    text.signUpIntro,
    html`
${form(view, html`${emailField(view)}${newPasswordField(view, text.password)}<button class="main">${text.signUp}</button>`)}
<footer><div>${text.hasAccount} <a href="/login?${view.query.toString()}">${text.signIn}</a></div></footer>`,
  );
}

/** Renders the page that asks a new customer for the code. */
export function confirmPage(view: PageView): Html {
  const text = words[view.language];
  return userPage(
    view,
    text.confirm,
    text.codeSent(view.email),
    html`
${form(view, html`${hiddenEmail(view)}${codeField(text.code)}<button class="main">${text.confirmAccount}</button>`)}
<footer>
${form(view, html`${hiddenEmail(view)}<button class="link" name="action" value="resend">${text.resend}</button>`)}
<a href="/login?${view.query.toString()}">${text.back}</a>
</footer>`,
  );
}

/** Renders the page on which a customer asks for a code to set a new password. */
export function forgotPage(view: PageView): Html {
  const text = words[view.language];
  return userPage(
    view,
    text.reset,
    text.forgotIntro,
    html`
${form(view, html`${emailField(view)}<button class="main">${text.sendCode}</button>`)}
<footer><a href="/login?${view.query.toString()}">${text.back}</a></footer>`,
  );
}

/** Renders the page on which a customer sets a new password with the code. */
export function resetPage(view: PageView): Html {
  const text = words[view.language];
  return userPage(
    view,
    text.reset,
    text.codeSent(view.email),
    html`
${form(view, html`${hiddenEmail(view)}${codeField(text.code)}${newPasswordField(view, text.newPassword)}<button class="main">${text.changePassword}</button>`)}
<footer>
<a href="/forgotPassword?${view.query.toString()}">${text.resend}</a>
<a href="/login?${view.query.toString()}">${text.back}</a>
</footer>`,
  );
}

/** The frame of a user's page: title, link to the other language, introduction and alert. */
function userPage({ language, path, query, email, alert }: PageView, title: string, intro: string, body: Html): Html {
  const other = new URLSearchParams(query);
  other.set("lang", language === "ja" ? "en" : "ja");
  if (email) other.set("username", email);
  return page(
    language,
    title,
    html`
<header><h1>${title}</h1><a href="${path}?${other.toString()}">${words[language].other}</a></header>
<p>${intro}</p>
${alert ? html`<div class="alert" role="alert">${alert}</div>` : ""}
${body}`,
  );
}

function form({ csrf }: PageView, fields: Html): Html {
  return html`<form method="post"><input type="hidden" name="_csrf" value="${csrf}">${fields}</form>`;
}

function emailField({ language, email }: PageView): Html {
  return html`<label>${words[language].email}<input name="username" type="email" autocomplete="username" required value="${email}"></label>`;
}

function hiddenEmail({ email }: PageView): Html {
  return html`<input type="hidden" name="username" value="${email}">`;
}

function codeField(label: string): Html {
  return html`<label>${label}<input name="code" inputmode="numeric" autocomplete="one-time-code" required></label>`;
}

function passwordField(label: string, autocomplete: "current-password" | "new-password"): Html {
  return html`<label>${label}<input name="password" type="password" autocomplete="${autocomplete}" required></label>`;
}

function newPasswordField({ language, rules }: PageView, label: string): Html {
  const lines = policyLines(rules.passwordPolicy, language);
  return html`${passwordField(label, "new-password")}<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
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
