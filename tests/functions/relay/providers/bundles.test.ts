import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { vipProviders } from "../../../../contract/relay";
import { bundleOptions, entryPointOf, lazyBundles } from "../../../../infra/bundle";
import { type ScriptedServer, startScriptedServer, stream } from "./scriptedServer";
import { chat, KEY, wireFormats } from "./wireFormats";

const folder = "functions/relay/providers";
const dir = mkdtempSync(join(tmpdir(), "snack-providers-"));
let server: ScriptedServer;

/** Asks one provider for a reply, through the bundled loader, and prints the events and the loaded bundles. */
const program = `
  const { loadProvider } = require("./relay.cjs");
  const [name, env, chat] = process.argv.slice(2).map((value, index) => (index ? JSON.parse(value) : value));
  (async () => {
    const { create } = await loadProvider(name);
    const provider = create({ env, readKey: async () => ${JSON.stringify(KEY)} });
    const events = [];
    for await (const event of provider.stream(chat, new AbortController().signal)) events.push(event);
    const bundles = Object.keys(require.cache).map((file) => require("node:path").basename(file));
    process.stdout.write(JSON.stringify({ events, bundles }));
  })();
`;

beforeAll(async () => {
  server = await startScriptedServer();
  await build({
    ...bundleOptions,
    entryPoints: [
      { in: `./${folder}/index.ts`, out: "relay" },
      ...(lazyBundles.relay ?? []).map((name) => ({ ...entryPointOf(`functions/${name}`), out: name })),
    ],
    outdir: dir,
    outExtension: { ".js": ".cjs" },
  });
  writeFileSync(join(dir, "program.cjs"), program);
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

const zipBytes = (name: string) => {
  const contents = readFileSync(join(dir, "relay/providers", `${name}.cjs`));
  return zipSync({ [name]: contents }).byteLength;
};

describe("the provider bundles", () => {
  it.each(vipProviders)("answer a chat in plain Node, and load no other vendor's SDK: %s", async (name) => {
    const { contentType, env, start, text, finish, usage, end } = wireFormats[name];
    server.script = stream(contentType, ...start, text("いらっしゃい"), finish("stop"), ...usage, ...end);
    const args = [join(dir, "program.cjs"), name, JSON.stringify(env(server.url)), JSON.stringify(chat)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const { events, bundles } = JSON.parse(stdout);
    expect(events).toEqual([{ text: "いらっしゃい" }, { end: expect.objectContaining({ finishReason: "stop" }) }]);
    const sdk = name === "openai" || name === "huggingface" ? ["openaiSdk.cjs"] : [];
    expect(bundles.sort()).toEqual(["program.cjs", "relay.cjs", `${name}.cjs`, ...sdk].sort());
  });

  it("have at most 320 kB when they are zipped", () => {
    const bytes = [...vipProviders, "openaiSdk"].map((name) => [name, zipBytes(name)] as const);
    expect(
      bytes.reduce((sum, [, size]) => sum + size, 0),
      JSON.stringify(bytes),
    ).toBeLessThan(320_000);
  });
});
