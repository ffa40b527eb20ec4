import { join } from "node:path";
import * as z from "zod/mini";
import { type LocalCloud, OWN_STACK } from "./cloud";
import { seedCustomers } from "./customers";
import { type EngineOptions, type StepEvent, up } from "./pulumi/engine";

/** The stack outputs a frontend needs. */
export const ProgramOutputs = z.object({
  apiUrl: z.url(),
  signIn: z.object({ url: z.url(), clientId: z.string(), issuer: z.url(), scopes: z.array(z.string()) }),
  inference: z.object({ phi3: z.url(), mistral: z.url() }),
});
export type ProgramOutputs = z.infer<typeof ProgramOutputs>;

/** What every run of the engine over this program shares. `overrides` are laid over the stack's configuration. */
export function engineOptions(
  cloud: LocalCloud,
  programDir: string,
  dir: string,
  overrides: Record<string, unknown> = {},
): EngineOptions {
  const { values, secretKeys } = cloud.stackConfig(OWN_STACK, overrides);
  return {
    programDir,
    project: "snack-misaki",
    stack: OWN_STACK,
    config: values,
    secretKeys,
    statePath: join(dir, "stack.json"),
    providers: cloud.providers,
    // As Pulumi.yaml says it to the real engine.
    env: { PULUMI_NODEJS_TSCONFIG_PATH: "tsconfig.pulumi.json" },
  };
}

/**
 * Brings the program up in the local cloud, gives the seeded customers their rows and tells the page.
 *
 * @param onStep called for each resource as it is done
 */
export async function bringUp(
  cloud: LocalCloud,
  programDir: string,
  dir: string,
  onStep?: (step: StepEvent) => void,
): Promise<ProgramOutputs> {
  const result = await up({ ...engineOptions(cloud, programDir, dir), ...(onStep && { onStep }) });
  const outputs = ProgramOutputs.parse(result.outputs);
  await seedCustomers(cloud.aws.account, cloud.aws.endpoints.dynamodb);
  cloud.setPageConfig({
    apiUrl: outputs.apiUrl,
    auth: {
      url: outputs.signIn.url,
      clientId: outputs.signIn.clientId,
      redirectUri: `${cloud.pageUrl}/callback`,
      logoutUri: `${cloud.pageUrl}/`,
      scopes: outputs.signIn.scopes,
    },
    stack: OWN_STACK,
    inProcess: cloud.runpod.workerKind === "in-process",
  });
  return outputs;
}
