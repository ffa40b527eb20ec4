import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadTarget } from "../../../ops/doctor/target";

let programDir: string;
beforeAll(() => {
  programDir = mkdtempSync(join(tmpdir(), "snack-doctor-"));
  const example = readFileSync("Pulumi.dev.yaml", "utf8");
  writeFileSync(
    join(programDir, "Pulumi.sealed.yaml"),
    `encryptionsalt: v1:abc\n${example}  snack-misaki:runpodApiKey:\n    secure: v1:xyz\n  snack-misaki:phi3BrowserKey:\n    secure: v1:xyz\n`,
  );
  writeFileSync(join(programDir, "Pulumi.bare.yaml"), example);
  writeFileSync(join(programDir, "Pulumi.bad.yaml"), example.replace("workersMax: 3", "workersMax: many"));
});
afterAll(() => rmSync(programDir, { recursive: true, force: true }));

const load = (stack: string, env: Record<string, string> = {}) =>
  loadTarget(stack, { programDir, dir: join(programDir, ".local") }, { PATH: "/nonexistent", ...env });

it("loadTarget prefers keys from the environment to keys in the stack's file", async () => {
  const env = { RUNPOD_API_KEY: "rpa_account", PHI3_BROWSER_KEY: "rpa_phi3" };
  expect(await load("sealed", env)).toMatchObject({
    owner: "snack-misaki/sealed",
    apiKey: { key: "rpa_account" },
    browserKeys: { phi3: { key: "rpa_phi3" }, mistral: undefined },
    config: { stack: "sealed", phi3: { workersMax: 3 } },
  });
});

it("loadTarget decrypts only the encrypted keys with the pulumi command", async () => {
  const bin = mkdtempSync(join(programDir, "bin-"));
  const calls = join(bin, "calls");
  // `pulumi config get` prints the value and a newline.
  writeFileSync(join(bin, "pulumi"), `#!/bin/sh\necho "$@" >> ${calls}\necho "rpa_of_$3"\n`);
  chmodSync(join(bin, "pulumi"), 0o755);
  const PATH = [bin, process.env.PATH].join(delimiter);
  expect(await load("sealed", { PATH })).toMatchObject({
    apiKey: { key: "rpa_of_runpodApiKey" },
    browserKeys: { phi3: { key: "rpa_of_phi3BrowserKey" }, mistral: undefined },
  });
  expect(readFileSync(calls, "utf8").trim().split("\n").sort()).toEqual([
    "config get phi3BrowserKey --stack sealed --non-interactive",
    "config get runpodApiKey --stack sealed --non-interactive",
  ]);
});

it("loadTarget marks a browser key as unread when the key is set but cannot be decrypted", async () => {
  expect((await load("sealed", { RUNPOD_API_KEY: "rpa_account" })).browserKeys.phi3).toBe("unread");
});

it("loadTarget marks the account's key as unread or missing, so that the other services are still checked", async () => {
  expect((await load("sealed")).apiKey).toBe("unread");
  expect((await load("bare")).apiKey).toBeUndefined();
});

it("loadTarget reads the keys of Stripe and of the external LLMs from the environment", async () => {
  const env = {
    STRIPE_API_KEY: "rk_test_1",
    STRIPE_WEBHOOK_KEY: "rk_test_2",
    ANTHROPIC_API_KEY: "a",
    HUGGINGFACE_TOKEN: "h",
  };
  expect(await load("bare", env)).toMatchObject({
    stripeKey: { key: "rk_test_1" },
    stripeWebhookKey: { key: "rk_test_2" },
    providers: { anthropic: { key: { key: "a" } }, openai: { key: undefined }, huggingface: { key: { key: "h" } } },
  });
});

it.each([
  ["bad", /^Pulumi\.bad\.yaml is not valid:\n {2}phi3\.workersMax: .*got "many"$/],
  ["nowhere", /Pulumi\.nowhere\.yaml cannot be read/],
  ["start", /endpoints\.json cannot be read\. Run npm start first, or name a stack with --stack\.$/],
])("loadTarget names the missing or invalid value of the stack %s", async (stack, message) => {
  await expect(load(stack)).rejects.toThrow(message);
});
