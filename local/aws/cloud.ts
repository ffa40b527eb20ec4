import { join } from "node:path";
import type { Events } from "../support/events";
import { userPool, userPoolEffects } from "./cognito";
import { startDynamodb, table } from "./dynamodb/dynamodb";
import { startEcrApi } from "./ecr/api";
import { type FoundImage, image, imageEffects, resolveImage } from "./ecr/dockerBuild";
import { HttpApiGateway } from "./httpApi/gateway";
import { api } from "./httpApi/httpApi";
import { startLambdaApi } from "./lambda/api";
import { Lambda, lambdaFunction } from "./lambda/lambda";
import { LambdaQueue } from "./lambda/queue";
import { serveAwsProvider } from "./provider/provider";
import { Scheduler, schedule } from "./scheduler";
import { parameter, parameterEffects, startSsm } from "./ssm";
import { AwsAccount } from "./support/account";
import { realTimers, type Timers } from "./support/timers";

/** How to start the local AWS. */
export interface AwsOptions {
  /** Where everything is kept. The same folder again is the same account again. */
  dir: string;
  region: string;
  events: Events;
  /** The first HTTP API's port, the next take the following ones; or free ones. An API keeps its port over a restart. */
  apiPorts: number | "free";
  /** Where Lambda's Invoke API is served; 0 takes a free port. */
  lambdaPort: number;
  /** Where an issuer's JWKS is served, for JWT authorizers; undefined for an unknown issuer. */
  jwks: (issuer: string) => string | undefined;
  /** What relative asset and build paths are relative to. */
  programDir: string;
  /** Variables for every Lambda beside AWS's own, such as other doubles' endpoints. Read at each invocation. */
  extraEnv: () => Record<string, string>;
  /** What schedules and retries wait by. Default: the clock. */
  timers?: Timers;
}

/** The local AWS, running. */
export interface AwsCloud {
  account: AwsAccount;
  /** The gRPC port of the Pulumi provider for `aws` and `docker-build`. */
  providerPort: number;
  endpoints: { dynamodb: string; ssm: string; ecr: string; lambda: string };
  /** Runs a Lambda by name or ARN. When it fails, rejects with an error whose `payload` is what Lambda answers then. */
  invoke(functionNameOrArn: string, event: unknown): Promise<unknown>;
  /** What a registry has under an image's name; undefined where the account's own holds no such image. */
  resolveImage(imageName: string): FoundImage | undefined;
  /** Stops everything; nothing is left running. */
  close(): Promise<void>;
}

/**
 * Starts the local AWS: the account, its services, and the provider through which an engine fills it.
 *
 * @throws PortInUseError when Lambda's port is taken, or an API of an earlier start cannot have its port back
 */
export async function startAws(options: AwsOptions): Promise<AwsCloud> {
  const { dir, region, events, programDir, timers = realTimers } = options;
  const account = new AwsAccount(join(dir, "account.json"), region);
  const running: { close(): Promise<void> }[] = [];
  const started = <T extends { close(): Promise<void> }>(one: T): T => {
    running.unshift(one);
    return one;
  };
  const close = async () => {
    for (const one of running.splice(0)) await one.close();
  };
  try {
    const dynamodb = started(await startDynamodb(join(dir, "dynamodb"), region, events));
    const ssm = started(await startSsm(account, events));
    const ecr = started(await startEcrApi(account, events));
    const extraEnv = (): Record<string, string> => ({
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url,
      AWS_ENDPOINT_URL_SSM: ssm.url,
      AWS_ENDPOINT_URL_ECR: ecr.url,
      AWS_ENDPOINT_URL_LAMBDA: lambdaApi.url,
      ...options.extraEnv(),
    });
    const lambda = started(new Lambda({ account, events, dir: join(dir, "functions"), programDir, extraEnv }));
    await lambda.tidy();
    const invoke = lambda.invoke.bind(lambda);
    const queue = started(new LambdaQueue({ events, timers, invoke }));
    const accept = queue.accept.bind(queue);
    const lambdaApi = started(await startLambdaApi({ account, events, port: options.lambdaPort, invoke, accept }));
    const gateway = started(
      new HttpApiGateway({ account, events, apiPorts: options.apiPorts, jwks: options.jwks, invoke }),
    );
    await gateway.reopen();
    const scheduler = started(new Scheduler({ account, events, timers, accept }));
    scheduler.reopen();
    const bodies = {
      [table.type]: dynamodb.effects,
      [parameter.type]: parameterEffects,
      [lambdaFunction.type]: lambda.effects,
      [api.type]: gateway.effects,
      [schedule.type]: scheduler.effects,
      [userPool.type]: userPoolEffects,
      [image.type]: imageEffects(programDir),
    };
    const provider = started(await serveAwsProvider(account, bodies, programDir));
    return {
      account,
      providerPort: provider.port,
      endpoints: { dynamodb: dynamodb.url, ssm: ssm.url, ecr: ecr.url, lambda: lambdaApi.url },
      invoke,
      resolveImage: (imageName) => resolveImage(account, imageName),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
