import * as pulumi from "@pulumi/pulumi";
import { byModel, type Model } from "../contract/plan";
import { type VipProvider, vipProviders } from "../contract/relay";
import type { Settings } from "../functions/relay";
import { CLOUDFRONT_REGION, stackNames } from "../names";
import type { AccountKeys } from "./accountKeys";
import * as aws from "./aws";
import { invokeProfile } from "./bedrock";
import { candidateSettings, readCandidates } from "./candidate";
import type { Config } from "./config";
import type { Data } from "./data";
import { createAlias, createCertificate } from "./domains";
import type { Inference } from "./inference";
import { Lambda, type Statement } from "./lambda";
import { readSecrets } from "./secrets";
import type { Tickets } from "./tickets";

/** Arguments of `Relay`. */
export interface RelayArgs {
  config: Pick<Config, "stack" | "frontend" | "relay" | "vip" | "browserKeys" | "domains">;
  data: Data;
  /** Verifies the customers' tickets, and signs the tickets of RunPod jobs. */
  tickets: Tickets;
  /** Keys with which the relay calls RunPod and the external LLMs. */
  keys: AccountKeys;
  /** Endpoint of each model. */
  endpoints: Record<Model, Inference>;
}

/**
 * The relay: one streaming address for the chats of every plan. It holds the keys of the models, so that no browser
 * needs one. The relay uses a function URL, because an HTTP API cannot stream.
 */
export class Relay extends pulumi.ComponentResource {
  /** Base URL, without a slash at the end: POST `<url>/chat`. */
  readonly url: pulumi.Output<string>;
  readonly lambda: Lambda<Settings>;

  constructor(name: string, args: RelayArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Relay", name, {}, opts);
    const child = { parent: this };
    const { config, data, tickets, keys } = args;
    this.lambda = new Lambda<Settings>(
      name,
      {
        bundle: "relay",
        functionName: stackNames(config.stack).functions.relay,
        settings: relaySettings(args),
        environment: environmentOf(config.vip),
        statements: [
          ...readSecrets(tickets.signingKey, keys.runpod, ...Object.values(configuredKeys(args))),
          readCandidates(config.stack, tickets.signingKey),
          ...data.ephemeral.relay(),
          ...invokeBedrock(config.vip, child),
        ],
        reservedConcurrency: config.relay.concurrency,
        memorySizeMb: 1_024,
        // Longer than a chat whose worker has to start.
        timeoutSeconds: 300,
      },
      child,
    );
    const url = createPublicUrl(name, this.lambda, config.frontend.origins, child);
    this.url = config.domains?.relay ? createDomain(name, url, config.domains, child) : url;
    this.registerOutputs({ url: this.url });
  }
}

function relaySettings(args: RelayArgs): pulumi.Output<Settings> {
  const { config, data, tickets, keys, endpoints } = args;
  const keyParameters = Object.entries(configuredKeys(args)).map(([provider, secret]) => [provider, secret.name]);
  const prices = configuredProviders(config.vip).map((name) => [name, config.vip[name]?.usdPerMillionTokens]);
  return pulumi.output({
    ticketIssuer: tickets.issuer,
    ticketJwks: tickets.jwks,
    signingKeyParameter: tickets.signingKey.name,
    // Also those that browsers call directly: the relay answers the customers of their candidates.
    endpoints: byModel((model) => endpoints[model].url),
    ...candidateSettings(config.stack),
    runpodKeyParameter: keys.runpod.name,
    ephemeralTable: data.ephemeral.name,
    keyParameters: Object.fromEntries(keyParameters),
    usdPerMillionTokens: Object.fromEntries(prices),
    dailyUsd: config.vip.dailyUsd,
    limits: config.relay.limits,
  });
}

/** External LLMs that have settings in the configuration, even if `vip.providers` does not list them. */
function configuredProviders(vip: Config["vip"]): VipProvider[] {
  return vipProviders.filter((name) => vip[name] !== undefined);
}

/** Keys of the external LLMs that have settings. The relay may read no other key. */
function configuredKeys({ config, keys }: RelayArgs): AccountKeys["providers"] {
  const names: string[] = configuredProviders(config.vip);
  return Object.fromEntries(Object.entries(keys.providers).filter(([name]) => names.includes(name)));
}

/**
 * Environment variables with the settings of the external LLMs. `VIP_PROVIDERS` is the order of preference. An operator
 * can change it in Lambda's console without a deployment. The next `pulumi up` restores the configured order.
 */
function environmentOf(vip: Config["vip"]): Record<string, string> {
  const variables = configuredProviders(vip).flatMap((provider) => {
    const { model, effort, baseUrl, region } = { ...noSettings, ...vip[provider] };
    const prefix = provider.toUpperCase();
    // The AWS SDK has its own variable for the base URL.
    const baseUrlVariable = provider === "bedrock" ? "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" : `${prefix}_BASE_URL`;
    return [
      [`${prefix}_MODEL`, model],
      [`${prefix}_EFFORT`, effort],
      [`${prefix}_REGION`, region],
      [baseUrlVariable, baseUrl],
    ].filter(([, value]) => value !== undefined);
  });
  return { VIP_PROVIDERS: vip.providers.join(","), ...Object.fromEntries(variables) };
}

const noSettings: { model?: string; effort?: string; baseUrl?: string; region?: string } = {};

/** Allows invoking the configured model of Bedrock. */
function invokeBedrock({ bedrock }: Config["vip"], child: pulumi.InvokeOptions): Statement[] {
  if (!bedrock) return [];
  const { accountId } = aws.getCallerIdentityOutput({}, child);
  return invokeProfile(bedrock.model, {
    region: bedrock.region ?? aws.getRegionOutput({}, child).region,
    accountId,
  });
}

/**
 * Creates a function URL that everybody may call: the function itself verifies the ticket. Lambda answers preflights and
 * adds the CORS headers, so the function must not set them.
 */
function createPublicUrl(
  name: string,
  { function: { name: functionName } }: Lambda<Settings>,
  origins: string[],
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  // Without both permissions, AWS answers 403 to every request.
  const anyone = { function: functionName, principal: "*" };
  new aws.lambda.Permission(
    `${name}-url`,
    { ...anyone, action: "lambda:InvokeFunctionUrl", functionUrlAuthType: "NONE" },
    child,
  );
  new aws.lambda.Permission(
    `${name}-invoke`,
    { ...anyone, action: "lambda:InvokeFunction", invokedViaFunctionUrl: true },
    child,
  );
  const { functionUrl } = new aws.lambda.FunctionUrl(
    name,
    {
      functionName,
      authorizationType: "NONE",
      invokeMode: "RESPONSE_STREAM",
      cors: {
        allowOrigins: origins,
        // AWS does not accept OPTIONS in this list.
        allowMethods: ["POST"],
        allowHeaders: ["authorization", "content-type"],
        exposeHeaders: ["retry-after", "x-request-id", "server-timing"],
        maxAge: 86_400,
      },
    },
    child,
  );
  return functionUrl.apply((url) => url.replace(/\/$/, ""));
}

/** Managed policies of CloudFront, by their ids. They are the same in every account. */
const CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/** A function URL refuses a request with another `Host` than its own. */
const ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac";
/** CloudFront's longest wait for the next byte without a higher quota. The relay sends a byte at least every 8 s. */
const ORIGIN_TIMEOUT_SECONDS = 60;

/**
 * Serves the relay at a host name. A function URL cannot have one, so CloudFront is in front of it. CloudFront passes
 * every request and streams every reply: it caches and compresses nothing.
 *
 * The function URL stays public. CloudFront could sign its requests (origin access control), but then browsers would have
 * to send the hash of each body. The ticket, which the relay verifies, is the authorization at both addresses.
 *
 * @returns the URL, after the name leads to the relay
 */
function createDomain(
  name: string,
  functionUrl: pulumi.Output<string>,
  { zone, relay: domain = "" }: NonNullable<Config["domains"]>,
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const acmCertificateArn = createCertificate(name, { domain, zone, region: CLOUDFRONT_REGION }, child);
  const distribution = new aws.cloudfront.Distribution(
    name,
    {
      enabled: true,
      isIpv6Enabled: true,
      httpVersion: "http2and3",
      aliases: [domain],
      // Edges in Japan. The cheaper class has none.
      priceClass: "PriceClass_200",
      origins: [
        {
          originId: "relay",
          domainName: functionUrl.apply((url) => new URL(url).hostname),
          customOriginConfig: {
            httpPort: 80,
            httpsPort: 443,
            originProtocolPolicy: "https-only",
            originSslProtocols: ["TLSv1.2"],
            originReadTimeout: ORIGIN_TIMEOUT_SECONDS,
          },
        },
      ],
      defaultCacheBehavior: {
        targetOriginId: "relay",
        viewerProtocolPolicy: "https-only",
        // CloudFront allows POST only with all of these methods. The function URL's CORS allows only POST.
        allowedMethods: ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
        cachedMethods: ["GET", "HEAD"],
        cachePolicyId: CACHING_DISABLED,
        originRequestPolicyId: ALL_VIEWER_EXCEPT_HOST_HEADER,
        compress: false,
      },
      restrictions: { geoRestriction: { restrictionType: "none" } },
      viewerCertificate: { acmCertificateArn, sslSupportMethod: "sni-only", minimumProtocolVersion: "TLSv1.2_2021" },
    },
    child,
  );
  const target = { name: distribution.domainName, zoneId: distribution.hostedZoneId };
  const records = createAlias(name, { domain, zone, target, types: ["A", "AAAA"] }, child);
  return pulumi.all(records.map((record) => record.id)).apply(() => `https://${domain}`);
}
