import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod/mini";
import { byModel } from "../../contract/plan";
import type { FrontendConfig } from "../page/config";

/** Schema of the stack outputs. */
export const ProgramOutputs = z.object({
  apiUrl: z.url(),
  signIn: z.object({ url: z.url(), clientId: z.string(), issuer: z.url(), scopes: z.array(z.string()) }),
  relayUrl: z.url(),
  inference: z.object(byModel(() => z.url())),
  webhookUrl: z.url(),
});
export type ProgramOutputs = z.infer<typeof ProgramOutputs>;

/** Returns the values for a frontend at `origin`, whose callback path is `/callback`. */
export function frontendConfig({ apiUrl, signIn }: ProgramOutputs, origin: string): FrontendConfig {
  return { apiUrl, auth: { ...signIn, redirectUri: `${origin}/callback`, logoutUri: `${origin}/` } };
}

const State = z.object({
  resources: z.array(z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()) })),
});
const AppClient = z.object({ callbackUrls: z.array(z.url()) });

/** Newest state of the stack of `npm start`. */
export interface StartedProgram {
  outputs: ProgramOutputs;
  /** Origin of the page. */
  pageUrl: string;
}

/**
 * Reads the stack of `npm start` from its state folder. The local cloud need not run.
 *
 * @throws Error with the file when it cannot be read
 */
export function readStartedProgram(dir: string): StartedProgram {
  const file = join(dir, "stack.json");
  try {
    const { resources } = z.parse(State, JSON.parse(readFileSync(file, "utf8")));
    const outputsOf = (type: string) => resources.find((resource) => resource.type === type)?.outputs;
    const [callbackUrl = ""] = z.parse(AppClient, outputsOf("aws:cognito/userPoolClient:UserPoolClient")).callbackUrls;
    const outputs = z.parse(ProgramOutputs, outputsOf("pulumi:pulumi:Stack"));
    return { outputs, pageUrl: new URL(callbackUrl).origin };
  } catch (cause) {
    throw new Error(`${file} cannot be read. Run npm start first`, { cause });
  }
}
