import type { Context } from "hono";
import { html, raw } from "hono/html";
import type { Speech } from "./translations";

const style = `
:root { color-scheme: light; --ink: #30313d; --soft: #687385; --line: #e3e8ee; --accent: #635bff; --bad: #b3093c; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f8fa; color: var(--ink); font: 16px/1.6 "Noto Sans JP", "Noto Sans CJK JP", system-ui, sans-serif; }
main { max-width: 30rem; margin: 2.5rem auto; padding: 2rem; background: #fff; border: 1px solid var(--line); border-radius: 12px; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; }
h2 { font-size: 1rem; margin: 2rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
.price { font-size: 2rem; font-weight: 700; margin: .25rem 0 1.25rem; }
.price small { font-size: 1rem; font-weight: 400; color: var(--soft); }
label { display: block; font-weight: 600; margin: 1rem 0 .25rem; }
input, select { width: 100%; font: inherit; padding: .65rem .8rem; border: 1px solid #c9d1da; border-radius: 8px; background: #fff; color: inherit; }
button { font: inherit; font-weight: 600; width: 100%; margin-top: .75rem; padding: .7rem 1rem; border: 1px solid #c9d1da; border-radius: 8px; background: #fff; color: inherit; cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: #fff; }
button:focus-visible, input:focus-visible, select:focus-visible, a:focus-visible { outline: 3px solid #b4b0ff; outline-offset: 2px; }
form { margin: 0; }
.note, .fine { color: var(--soft); font-size: .875rem; }
.error { color: var(--bad); background: #fff0f3; border-radius: 8px; padding: .6rem .8rem; }
.tag { display: inline-block; padding: 0 .6rem; border-radius: 999px; background: #eef0ff; color: #3d36b8; font-size: .875rem; }
details { margin-top: 1.25rem; } summary { cursor: pointer; color: var(--soft); }
table { width: 100%; border-collapse: collapse; font-size: .9rem; } td { padding: .35rem 0; border-top: 1px solid var(--line); } td:last-child { text-align: right; }
a { color: var(--accent); }
@media (max-width: 34rem) { main { margin: 0; border: 0; border-radius: 0; min-height: 100vh; padding: 1.25rem; } }
`;

/** Renders a page without scripts or external resources. */
export function page(c: Context, { lang, words }: Speech, title: string, body: unknown, status: 200 | 402 | 404 = 200) {
  c.header(
    "content-security-policy",
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  );
  c.header("cache-control", "no-store");
  c.header("referrer-policy", "no-referrer");
  return c.html(
    html`<!doctype html>
<html lang="${lang}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${raw(style)}</style></head>
<body><main>${body}<p class="fine">${words.double}</p></main></body>
</html>`,
    status,
  );
}
