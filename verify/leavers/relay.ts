import { join } from "node:path";
import { build } from "esbuild";
import { exportJWK, generateKeyPair } from "jose";
import { root } from "../../cli/root";
import type { Session } from "../../client";
import { type Plan, planModels } from "../../contract/plan";
import { planLimits } from "../../functions/core/planLimits";
import { signTicket } from "../../functions/core/ticket";
import type { Settings } from "../../functions/relay";
import { bundleOptions, entryPointOf } from "../../infra/bundle";
import { startDynamodb } from "../../local/aws/dynamodb/dynamodb";
import { table } from "../../local/aws/dynamodb/table";
import { FunctionUrls } from "../../local/aws/functionUrl/functionUrls";
import { functionUrl } from "../../local/aws/functionUrl/resources";
import { Lambda } from "../../local/aws/lambda/lambda";
import { lambdaFunction, permission } from "../../local/aws/lambda/resources";
import { Operations } from "../../local/aws/provider/operations";
import { parameter, startSsm } from "../../local/aws/ssm";
import { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import { folderArchive } from "../../local/support/protocol/value";
import { OPENAI_KEY } from "../failover/wire/openai";
import { RUNPOD_KEY } from "../failover/wire/runpod";

/** The relay as a Lambda function of a local AWS, behind its function URL. */
export interface LocalRelay {
  /** Opens a session of a new customer, with a ticket for two minutes. */
  session(customer: string, plan: Plan): Promise<Session>;
  close(): Promise<void>;
}

/** Upstreams of the relay. */
export interface Upstreams {
  /** Base URL of an OpenAI-compatible server, which answers the vip plan. */
  openaiUrl: string;
  /** Base URL of a RunPod endpoint's job API, which answers the paid plan. */
  endpointUrl: string;
}

const NAME = "relay";
const ISSUER = "snack-misaki/leavers";
const parameters = { signingKey: "signing-key", runpodKey: "runpod-key", openaiKey: "openai-key" };
const unlimited = { chatsPerMinute: 1_000_000, tokensPerDay: 1_000_000_000 };

/**
 * Starts the relay's function with its tables and parameters. The bundle is built with the options of the product's
 * bundle.
 *
 * @param dir folder for the state of the local AWS
 */
export async function startLocalRelay(dir: string, upstreams: Upstreams): Promise<LocalRelay> {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const key = { ...(await exportJWK(pair.privateKey)), kid: "leavers" };
  const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: "leavers" }] };
  const settings: Settings = {
    ticketIssuer: ISSUER,
    ticketJwks: JSON.stringify(jwks),
    signingKeyParameter: parameters.signingKey,
    candidatesPath: "/candidates",
    endpoints: { [planModels.paid]: upstreams.endpointUrl },
    runpodKeyParameter: parameters.runpodKey,
    ephemeralTable: "ephemeral",
    keyParameters: { openai: parameters.openaiKey },
    usdPerMillionTokens: {},
    dailyUsd: 1_000,
    limits: { free: unlimited, paid: unlimited, vip: unlimited },
  };
  const aws = await startAws(dir);
  try {
    await aws.create(table.type, settings.ephemeralTable, {
      attributes: [{ name: "pk", type: "S" }],
      hashKey: "pk",
      billingMode: "PAY_PER_REQUEST",
    });
    const secrets = {
      [parameters.signingKey]: JSON.stringify(key),
      [parameters.runpodKey]: RUNPOD_KEY,
      [parameters.openaiKey]: OPENAI_KEY,
    };
    for (const [name, value] of Object.entries(secrets)) {
      await aws.create(parameter.type, name, { type: "SecureString", value });
    }
    const url = await createFunction(aws, {
      RELAY_SETTINGS: JSON.stringify(settings),
      VIP_PROVIDERS: "openai",
      OPENAI_MODEL: "gpt-6.1-terra",
      OPENAI_BASE_URL: upstreams.openaiUrl,
    });
    return {
      session: async (customer, plan) => {
        const grant = { iss: ISSUER, sub: customer, aud: planModels[plan], plan, limits: planLimits[plan] };
        const { ticket, expiresAt } = await signTicket(grant, key, new Date());
        return {
          user_id: customer,
          plan,
          model: grant.aud,
          inference: { kind: "relay", url, authorization: `Bearer ${ticket}` },
          ticket,
          ticket_expires_at: expiresAt.toISOString(),
          limits: grant.limits,
        };
      },
      close: aws.close,
    };
  } catch (error) {
    await aws.close();
    throw error;
  }
}

/** The services of AWS that the relay uses. */
interface LocalAws {
  /** Creates a resource and returns its outputs. */
  create(type: string, name: string, inputs: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

async function startAws(dir: string): Promise<LocalAws> {
  const events = new Events();
  const account = new AwsAccount(join(dir, "account.json"), "us-east-1");
  const dynamodb = await startDynamodb(join(dir, "dynamodb"), account.region, events);
  const ssm = await startSsm(account, events);
  const extraEnv = () => ({ AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url, AWS_ENDPOINT_URL_SSM: ssm.url });
  const lambda = new Lambda({ account, events, dir: join(dir, "functions"), programDir: dir, extraEnv });
  const urls = new FunctionUrls({ account, events, ports: "free", lambda });
  const effects = {
    [table.type]: dynamodb.effects,
    [lambdaFunction.type]: lambda.effects,
    [functionUrl.type]: urls.effects,
  };
  const operations = new Operations(account, effects, dir);
  return {
    async create(type, name, news) {
      const target = { type, name };
      const { inputs, failures } = await operations.check(
        target,
        {},
        { name, ...news },
        { seed: new Uint8Array(), proposed: undefined },
      );
      if (failures.length > 0) throw new Error(`${type} ${name}: ${JSON.stringify(failures)}`);
      return (await operations.create(target, inputs, false)).outputs;
    },
    async close() {
      for (const service of [urls, lambda, ssm, dynamodb]) await service.close();
    },
  };
}

/** Creates the function with a public URL, and returns the URL without the slash at its end. */
async function createFunction(aws: LocalAws, variables: Record<string, string>): Promise<string> {
  await aws.create(lambdaFunction.type, NAME, {
    role: "arn:aws:iam::000000000000:role/relay",
    code: folderArchive(await bundleFunction()),
    handler: "index.handler",
    runtime: "nodejs24.x",
    memorySize: 1_024,
    timeout: 300,
    environment: { variables },
  });
  const anyone = { function: NAME, principal: "*" };
  await aws.create(permission.type, "url", {
    ...anyone,
    action: "lambda:InvokeFunctionUrl",
    functionUrlAuthType: "NONE",
  });
  await aws.create(permission.type, "invoke", {
    ...anyone,
    action: "lambda:InvokeFunction",
    invokedViaFunctionUrl: true,
  });
  const { functionUrl: url } = await aws.create(functionUrl.type, NAME, {
    functionName: NAME,
    authorizationType: "NONE",
    invokeMode: "RESPONSE_STREAM",
  });
  return String(url).replace(/\/$/, "");
}

async function bundleFunction(): Promise<string> {
  const outdir = join(root, ".build/leavers");
  const sources = ["relay/providers/openai", "relay/providers/openaiSdk"];
  await build({
    ...bundleOptions,
    absWorkingDir: root,
    entryPoints: [
      { in: "./verify/leavers/function.ts", out: "functions/index" },
      ...sources.map((source) => entryPointOf(`functions/${source}`)),
    ],
    outdir,
    outExtension: { ".js": ".cjs" },
  });
  return join(outdir, "functions");
}
