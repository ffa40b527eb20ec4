import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { bundleOptions, bundlePath, type FunctionName, functionNames } from "../../infra/bundle";
import { median } from "./median";

/** Code of a module that creates the SDK clients of the Stripe functions, and does nothing else. */
const stripe = `
    import Stripe from "stripe";
    import { DynamoDBClient, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new Stripe("rk_test_none"), new DynamoDBClient({}), new SSMClient({}),
      GetItemCommand, UpdateItemCommand, GetParametersCommand];`;

/** For each function, the code of a module that only creates the SDK clients that the function needs. */
const clients: Record<FunctionName, string> = {
  session: `
    import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new DynamoDBClient({}), new SSMClient({}), GetItemCommand, GetParametersCommand];`,
  guest: `
    import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new DynamoDBClient({}), new SSMClient({}), UpdateItemCommand, GetParametersCommand];`,
  plan: `
    import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
    export const made = [new DynamoDBClient({}), GetItemCommand];`,
  checkout: stripe,
  portal: stripe,
  sync: stripe,
  webhook: stripe,
  reconciler: stripe,
  registryRefresh: `
    import { ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    import { GraphQLClient } from "graphql-request";
    export const made = [new ECRClient({}), new SSMClient({}), new GraphQLClient("http://localhost/"),
      GetAuthorizationTokenCommand, GetParametersCommand];`,
  admin: `
    import { CognitoIdentityProviderClient, ListUsersCommand } from "@aws-sdk/client-cognito-identity-provider";
    export const pool = [new CognitoIdentityProviderClient({}), ListUsersCommand];
    ${stripe}`,
  poller: `
    import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new DynamoDBClient({}), new SSMClient({}), UpdateItemCommand, GetParametersCommand];`,
  canary: `
    import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
    import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
    import { GetParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new DynamoDBClient({}), new SNSClient({}), new SSMClient({}), GetItemCommand, PutItemCommand,
      PublishCommand, GetParametersCommand, PutParameterCommand];`,
  // The relay loads the SDK of an external LLM only when a chat needs it.
  relay: `
    import { DynamoDBClient, GetItemCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
    import { GetParametersCommand, SSMClient } from "@aws-sdk/client-ssm";
    export const made = [new DynamoDBClient({}), new SSMClient({}), GetItemCommand, UpdateItemCommand,
      GetParametersCommand];`,
};

const ROUNDS = 15;

/**
 * Divides the time to import each function's bundle by the time to import only its SDK clients. Both are bundled in the
 * same way. Each time is a median of fresh processes. The two imports alternate, so that a busy machine slows down
 * both.
 */
export async function importRatios(): Promise<Record<FunctionName, number>> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-import-"));
  try {
    const ratios: Partial<Record<FunctionName, number>> = {};
    for (const name of functionNames) ratios[name] = await importRatio(name, dir);
    return ratios as Record<FunctionName, number>;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function importRatio(name: FunctionName, dir: string): Promise<number> {
  const alone = join(dir, `${name}.cjs`);
  await build({ ...bundleOptions, stdin: { contents: clients[name], resolveDir: process.cwd() }, outfile: alone });
  const whole = join(dir, `${name}.whole.cjs`);
  writeFileSync(whole, `require(${JSON.stringify(join(process.cwd(), bundlePath(`functions/${name}`)))});`);
  const times = Array.from({ length: ROUNDS }, () => ({ whole: importMs(whole), alone: importMs(alone) }));
  return median(times.map(({ whole, alone }) => whole / alone));
}

/** Time in milliseconds to import a file in a fresh process. */
export function importMs(file: string): number {
  const script = `const t = performance.now(); require(${JSON.stringify(file)}); console.log(performance.now() - t);`;
  const env = { AWS_REGION: "us-east-1", PATH: process.env.PATH };
  return Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8", env }));
}
