import { once } from "node:events";
import { join } from "node:path";
import { build } from "esbuild";
import { exportJWK, generateKeyPair } from "jose";
import { root } from "../../../cli/root";
import { planModels } from "../../../contract/plan";
import { planLimits } from "../../../functions/core/planLimits";
import { signTicket } from "../../../functions/core/ticket";
import { bundleOptions, entryPointOf } from "../../../infra/bundle";
import type { Children } from "../children";
import type { HostSettings } from "./host";

const ISSUER = "snack-misaki/bench";

/** The relay in a separate process. */
export interface RelayHost {
  /** URL of `POST /chat`. */
  url: string;
  /** Signs a ticket of the vip plan. The ticket is valid for two minutes. */
  signTicket(): Promise<string>;
  /** Collects the garbage and measures the resident memory of the process, in bytes. */
  residentBytes(): Promise<number>;
}

/**
 * Bundles `host.ts` in the same way as the Lambda's code, and starts it in front of an OpenAI-compatible upstream.
 *
 * @param socketPath Unix socket on which the relay listens. Default: a free port
 */
export async function startHost(
  children: Children,
  upstream: HostSettings["upstream"],
  socketPath?: string,
): Promise<RelayHost> {
  const outdir = join(root, ".build/bench/relay");
  await build({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: [
      { in: "./verify/bench/relay/host.ts", out: "functions/host" },
      ...["openai", "openaiSdk"].map((name) => entryPointOf(`functions/relay/providers/${name}`)),
    ],
    outdir,
    outExtension: { ".js": ".cjs" },
  });
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const key = { ...(await exportJWK(pair.privateKey)), kid: "bench" };
  const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: "bench" }] };
  const settings: HostSettings = { ticketIssuer: ISSUER, jwks, upstream, socketPath };
  // Discards the relay's log, so that the benchmark's process spends no time on it.
  const host = children.start(
    process.execPath,
    ["--expose-gc", join(outdir, "functions/host.cjs"), JSON.stringify(settings)],
    {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    },
  );
  const [{ url }] = (await once(host, "message")) as [{ url: string }];
  const grant = { iss: ISSUER, sub: "user-1", aud: planModels.vip, plan: "vip", limits: planLimits.vip } as const;
  return {
    url: `${url}/chat`,
    signTicket: async () => (await signTicket(grant, key, new Date())).ticket,
    async residentBytes() {
      host.send("memory");
      const [{ residentBytes }] = (await once(host, "message")) as [{ residentBytes: number }];
      return residentBytes;
    },
  };
}
