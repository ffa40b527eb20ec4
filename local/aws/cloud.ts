import { join } from "node:path";
import type { Events } from "../support/events";
import { CloudWatch } from "./cloudwatch/cloudwatch";
import { compositeAlarm, metricAlarm } from "./cloudwatch/resources";
import { userPool, userPoolDomain, userPoolDomainEffects, userPoolEffects } from "./cognito";
import { certificateValidation, certificateValidationEffects } from "./domains/certificates";
import { distribution, distributionEffects } from "./domains/distribution";
import { startDynamodb } from "./dynamodb/dynamodb";
import { table } from "./dynamodb/table";
import { startEcrApi } from "./ecr/api";
import { type FoundImage, image, imageEffects, resolveImage } from "./ecr/dockerBuild";
import { FunctionUrls } from "./functionUrl/functionUrls";
import { functionUrl } from "./functionUrl/resources";
import type { StreamLimits } from "./functionUrl/streamedResponse";
import { apiMapping, apiMappingEffects, domainName, domainNameEffects } from "./httpApi/domainName";
import { HttpApiGateway } from "./httpApi/gateway";
import { api } from "./httpApi/resources";
import type { BedrockOffer } from "./inspection/bedrock";
import { startInspection } from "./inspection/server";
import { createSesAccount } from "./inspection/ses";
import { startLambdaApi } from "./lambda/api";
import { Lambda } from "./lambda/lambda";
import { LambdaQueue } from "./lambda/queue";
import { eventInvokeConfig, eventInvokeConfigEffects, invocation, lambdaFunction } from "./lambda/resources";
import type { OnCreate } from "./provider/operations";
import { serveAwsProvider } from "./provider/provider";
import { Scheduler, schedule } from "./scheduler";
import { topicSubscription } from "./sns/resources";
import { type Delivery, Topics } from "./sns/topics";
import { Queues } from "./sqs";
import { parameter, parameterEffects, startSsm } from "./ssm";
import { AwsAccount } from "./support/account";
import { realTimers, type Timers } from "./support/timers";

/** Settings of the local AWS. */
export interface AwsOptions {
  /** Folder of all state. A start with the same folder continues with the same account. */
  dir: string;
  region: string;
  events: Events;
  /**
   * Port of the first HTTP API; the next APIs use the following ports. "free" uses any free ports. After a restart an
   * API has the same port.
   */
  apiPorts: number | "free";
  /**
   * Port of the first function URL; the next function URLs use the following ports. "free" uses any free ports. After a
   * restart a function URL has the same port.
   */
  urlPorts: number | "free";
  /** Limits of a streamed response. Default: those of AWS. */
  streamLimits?: StreamLimits;
  /** Port of the Pulumi provider. Default: a free port. */
  providerPort?: number;
  /** Called with each new resource, before the provider's create returns. */
  onCreate?: OnCreate;
  /** Port of Lambda's Invoke API; 0 uses a free port. */
  lambdaPort: number;
  /** Returns the URL of an issuer's JWKS, for JWT authorizers; undefined for an unknown issuer. */
  jwks: (issuer: string) => string | undefined;
  /** Base folder of relative asset and build paths. */
  programDir: string;
  /**
   * Environment variables for every Lambda, in addition to AWS's own: for example the endpoints of other doubles. Read
   * at each invocation.
   */
  extraEnv: () => Record<string, string>;
  /** Timers of schedules and retries. Default: real time. */
  timers?: Timers;
  /** Inference profiles that Bedrock offers. Default: none. */
  bedrock?: BedrockOffer;
}

/** The running local AWS. */
export interface AwsCloud {
  account: AwsAccount;
  /** The gRPC port of the Pulumi provider for `aws` and `docker-build`. */
  providerPort: number;
  /** URLs of the services' APIs. `inspection` serves the read operations of all other services. */
  endpoints: Record<"dynamodb" | "ssm" | "ecr" | "lambda" | "inspection", string>;
  /** Runs a Lambda by name or ARN. Rejects with a FunctionError when the function fails. */
  invoke(functionNameOrArn: string, event: unknown): Promise<unknown>;
  /**
   * Returns the model version of an image. Undefined when the name refers to the account's registry but the registry
   * has no such image.
   */
  resolveImage(imageName: string): FoundImage | undefined;
  /** Metrics and alarms. */
  cloudwatch: CloudWatch;
  /** Messages that the subscribers of SNS topics have received, the oldest first. */
  deliveries: readonly Delivery[];
  /** Messages of an SQS queue, by its ARN. */
  messages(queueArn: string): readonly unknown[];
  /** Runs a Lambda as an asynchronous event: it is retried. Resolves when the event is processed or dropped. */
  accept(functionNameOrArn: string, event: unknown): Promise<void>;
  /** Whether no Lambda runs. */
  readonly isIdle: boolean;
  /** Stops all services and their processes. */
  close(): Promise<void>;
}

/**
 * Starts the local AWS: the account, its services, and the Pulumi provider that creates resources in it.
 *
 * @throws PortInUseError when `lambdaPort` is in use, or the earlier port of a restored API or function URL. With
 * "free", an API or a function URL moves to another port instead
 */
export async function startAws(options: AwsOptions): Promise<AwsCloud> {
  const { dir, region, events, programDir, timers = realTimers } = options;
  const account = new AwsAccount(join(dir, "account.db"), region);
  const running: { close(): Promise<void> }[] = [];
  const started = <T extends { close(): Promise<void> }>(service: T): T => {
    running.unshift(service);
    return service;
  };
  const close = async () => {
    for (const service of running.splice(0)) await service.close();
    account.close();
  };
  try {
    const dynamodb = started(await startDynamodb(join(dir, "dynamodb"), region, events, account));
    const ssm = started(await startSsm(account, events));
    const ecr = started(await startEcrApi(account, events));
    const extraEnv = (): Record<string, string> => ({
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.url,
      AWS_ENDPOINT_URL_SSM: ssm.url,
      AWS_ENDPOINT_URL_ECR: ecr.url,
      AWS_ENDPOINT_URL_LAMBDA: lambdaApi.url,
      AWS_ENDPOINT_URL_SNS: topics.url,
      ...options.extraEnv(),
    });
    const topics = started(await Topics.start(account, events));
    const publish = topics.publish.bind(topics);
    const cloudwatch = started(new CloudWatch({ account, events, timers, publish }));
    const queues = new Queues(account, events, cloudwatch);
    const send = queues.send.bind(queues);
    const messages = queues.messages.bind(queues);
    const lambda = started(
      new Lambda({ account, events, dir: join(dir, "functions"), programDir, extraEnv, cloudwatch }),
    );
    await lambda.removeOldPackages();
    const invoke = lambda.invoke.bind(lambda);
    const queue = started(new LambdaQueue({ account, events, timers, invoke, send }));
    const accept = queue.accept.bind(queue);
    const lambdaApi = started(await startLambdaApi({ account, events, port: options.lambdaPort, invoke, accept }));
    const inspection = started(
      await startInspection({
        account,
        events,
        cloudwatch,
        messages,
        ses: createSesAccount(),
        bedrock: options.bedrock ?? { profiles: {} },
      }),
    );
    const gateway = started(
      new HttpApiGateway({
        account,
        events,
        apiPorts: options.apiPorts,
        jwks: options.jwks,
        invoke,
        metrics: cloudwatch,
      }),
    );
    await gateway.restore();
    const functionUrls = started(
      new FunctionUrls({
        account,
        events,
        ports: options.urlPorts,
        limits: options.streamLimits,
        lambda,
        metrics: cloudwatch,
      }),
    );
    await functionUrls.restore();
    const scheduler = started(new Scheduler({ account, events, timers, accept, send }));
    scheduler.restore();
    const effects = {
      [table.type]: dynamodb.effects,
      [parameter.type]: parameterEffects,
      [lambdaFunction.type]: lambda.effects,
      [eventInvokeConfig.type]: eventInvokeConfigEffects(account),
      [invocation.type]: lambda.invocationEffects,
      [functionUrl.type]: functionUrls.effects,
      [api.type]: gateway.effects,
      [metricAlarm.type]: cloudwatch.effects,
      [compositeAlarm.type]: cloudwatch.effects,
      [topicSubscription.type]: topics.effects,
      [schedule.type]: scheduler.effects,
      [certificateValidation.type]: certificateValidationEffects(account),
      [domainName.type]: domainNameEffects(account),
      [apiMapping.type]: apiMappingEffects(account),
      [distribution.type]: distributionEffects(account),
      [userPool.type]: userPoolEffects,
      [userPoolDomain.type]: userPoolDomainEffects(account),
      [image.type]: imageEffects(programDir, account),
    };
    const provider = started(await serveAwsProvider(account, effects, options));
    return {
      account,
      providerPort: provider.port,
      endpoints: {
        dynamodb: dynamodb.url,
        ssm: ssm.url,
        ecr: ecr.url,
        lambda: lambdaApi.url,
        inspection: inspection.url,
      },
      invoke,
      resolveImage: (imageName) => resolveImage(account, imageName),
      messages,
      accept,
      get isIdle() {
        return lambda.isIdle;
      },
      cloudwatch,
      deliveries: topics.deliveries,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
