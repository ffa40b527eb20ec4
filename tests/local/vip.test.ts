import { createHook } from "node:async_hooks";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type VipProvider, vipProviders } from "../../contract/relay";
import type { ProviderChat, ProviderEvent } from "../../functions/core/relay/provider";
import { loadProvider } from "../../functions/relay/providers";
import { AwsAccount } from "../../local/aws/support/account";
import { mamaReply } from "../../local/llm/mamaReply";
import { Events } from "../../local/support/events";
import { startVipServers, type VipServers } from "../../local/vip/vip";
import { putRole } from "./aws/roles";

const models = {
  ANTHROPIC_MODEL: "claude-sonnet-5-5",
  OPENAI_MODEL: "gpt-6.1-terra",
  BEDROCK_MODEL: "jp.anthropic.claude-sonnet-5-5",
  BEDROCK_REGION: "ap-northeast-1",
  HUGGINGFACE_MODEL: "openai/gpt-oss-120b",
};
const chat: ProviderChat = {
  messages: [{ role: "user", content: "こんばんは" }],
  maxTokens: 512,
  sampling: {},
  system: { persona: "あなたはスナックのママです。", greeting: "こんばんは。" },
  userHash: "0f3a9c",
};

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-vip-"));
const account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
let servers: VipServers;
beforeAll(async () => {
  servers = await startVipServers(new Events(), () => account);
  // The AWS SDK reads the environment of this process.
  Object.assign(process.env, servers.environment, { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" });
});
afterAll(async () => {
  await servers.close();
  account.close();
  rmSync(dir, { recursive: true });
});

async function ask(name: VipProvider, signal = AbortSignal.timeout(10_000)) {
  const { create } = await loadProvider(name);
  const provider = create({ env: { ...models, ...servers.environment }, readKey: async () => "local-key" });
  const events: ProviderEvent[] = [];
  for await (const event of provider.stream(chat, signal)) events.push(event);
  const pieces = events.flatMap((event) => ("text" in event ? event.text : []));
  const end = events.flatMap((event) => ("end" in event ? event.end : []))[0];
  return { pieces, text: pieces.join(""), end };
}

describe.each([
  ["anthropic", "（Anthropic）"],
  ["openai", "（OpenAI）"],
  ["bedrock", "（Bedrock）"],
  ["huggingface", "（HuggingFace）"],
] as const)("the local server of %s", (name, label) => {
  test("streams Mama's reply, which names the provider, over the vendor's SDK", async () => {
    const { pieces, text, end } = await ask(name);
    expect(text).toBe(`${mamaReply("こんばんは")}${label}`);
    expect(pieces.length).toBeGreaterThan(5);
    expect(end).toMatchObject({ finishReason: "stop", usage: { completion_tokens: text.length } });
    expect(end?.usage?.prompt_tokens).toBeGreaterThan(0);
  });
});

test("each server refuses a host name that is not loopback (DNS rebinding)", async () => {
  for (const url of Object.values(servers.environment)) {
    const { port } = new URL(url);
    const response = get({ host: "127.0.0.1", port, path: "/v1/models", headers: { host: "evil.example" } });
    const [{ statusCode }] = (await once(response, "response")) as [IncomingMessage];
    expect(statusCode).toBe(403);
  }
});

test("there is a server for every provider", () => {
  expect(Object.keys(servers.environment)).toHaveLength(vipProviders.length);
});

test("a silent server never answers, and keeps no timer after its client disconnects", async () => {
  const timers: NodeJS.Timeout[] = [];
  const hook = createHook({
    init: (_id, type, _trigger, resource) => void (type === "Timeout" && timers.push(resource as NodeJS.Timeout)),
  }).enable();
  servers.faults.set("openai", "silent");
  const leaving = new AbortController();
  const reply = ask("openai", leaving.signal);
  setTimeout(() => leaving.abort(new Error("left")), 300);
  await expect(reply).rejects.toThrow("left");
  hook.disable();
  servers.faults.clear();
  // The timers of the HTTP server are unreferenced, so they do not keep the process running.
  expect(timers.filter((timer) => timer.hasRef() && !("_destroyed" in timer && timer._destroyed))).toEqual([]);
});

test("the local server of bedrock refuses a role that may not invoke the profile and its models", async () => {
  const action = "bedrock:InvokeModelWithResponseStream";
  const profile = `arn:aws:bedrock:ap-northeast-1:${account.accountId}:inference-profile/${models.BEDROCK_MODEL}`;
  const model = (region: string) => `arn:aws:bedrock:${region}::foundation-model/anthropic.claude-sonnet-5-5`;
  const through = { StringEquals: { "bedrock:InferenceProfileArn": profile } };
  const invoke = (Resource: string[], Condition?: typeof through) => ({
    Action: [action],
    Resource,
    ...(Condition && { Condition }),
  });
  const { accessKeyId } = putRole(account, "relay", invoke([profile]), invoke([model("ap-northeast-1")], through));
  vi.stubEnv("AWS_ACCESS_KEY_ID", accessKeyId);
  await expect(ask("bedrock")).rejects.toThrow("403 AccessDeniedException");
  putRole(account, "relay", invoke([profile]), invoke([model("ap-northeast-1"), model("ap-northeast-3")], through));
  expect((await ask("bedrock")).text).toContain("Bedrock");
  vi.unstubAllEnvs();
});
