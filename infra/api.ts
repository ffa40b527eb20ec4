import * as pulumi from "@pulumi/pulumi";
import { stackNames } from "../names";
import * as aws from "./aws";
import type { Config } from "./config";
import { createAlias, createCertificate } from "./domains";
import type { Identity } from "./identity";
import type { Lambda } from "./lambda";

/** One route of the API. */
interface RouteArgs {
  /**
   * Method and path, such as `POST /auth/session`. Do not use `ANY` or `$default`: they would send CORS preflight
   * requests to the authorizer.
   */
  key: string;
  lambda: Lambda<object>;
  /** `id-token` requires the ID token of a signed-in customer. */
  auth: "id-token" | "none";
  /** Limits of this route. Default: `throttle` of the configuration. */
  throttle?: Limits;
}

/** Limits of a route, over all callers. */
type Limits = Pick<Config["throttle"], "ratePerSecond" | "burst">;

/** Arguments of `HttpApi`. */
export interface HttpApiArgs {
  config: Pick<Config, "stack" | "frontend" | "throttle" | "domains">;
  /** Issuer and audience of the accepted ID tokens. */
  identity: Identity;
  routes: RouteArgs[];
}

/**
 * The auth/billing API: an HTTP API with a JWT authorizer for Cognito's tokens. Prompts and replies never pass through
 * it.
 */
export class HttpApi extends pulumi.ComponentResource {
  readonly url: pulumi.Output<string>;
  /** API Gateway's id, a dimension of its metrics. */
  readonly id: pulumi.Output<string>;

  constructor(name: string, args: HttpApiArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:HttpApi", name, {}, opts);
    const child = { parent: this };
    const { config, identity } = args;
    const api = new aws.apigatewayv2.Api(
      name,
      {
        protocolType: "HTTP",
        ipAddressType: "dualstack",
        // Without a second address, no request can avoid the name of the configuration.
        ...(config.domains?.api && { disableExecuteApiEndpoint: true }),
        corsConfiguration: {
          allowOrigins: config.frontend.origins,
          allowMethods: ["GET", "POST"],
          allowHeaders: ["authorization", "content-type"],
          exposeHeaders: ["retry-after"],
          maxAge: 86_400,
        },
      },
      child,
    );
    const authorizer = new aws.apigatewayv2.Authorizer(
      name,
      {
        apiId: api.id,
        authorizerType: "JWT",
        identitySources: ["$request.header.Authorization"],
        jwtConfiguration: { issuer: identity.issuer, audiences: [identity.clientId] },
      },
      child,
    );
    const routes = args.routes.map((route) => createRoute(route, api, authorizer, child));
    const log = new aws.cloudwatch.LogGroup(
      `${name}-access`,
      { name: stackNames(config.stack).accessLog, retentionInDays: 30 },
      child,
    );
    const stage = new aws.apigatewayv2.Stage(
      name,
      {
        apiId: api.id,
        name: "$default",
        autoDeploy: true,
        defaultRouteSettings: throttling(config.throttle),
        routeSettings: args.routes.flatMap(({ key, throttle }) =>
          throttle ? [{ routeKey: key, ...throttling(throttle) }] : [],
        ),
        accessLogSettings: { destinationArn: log.arn, format: accessLogFormat },
      },
      { ...child, dependsOn: routes },
    );
    const { domains } = config;
    this.url = domains?.api
      ? createDomain(name, { domain: domains.api, zone: domains.zone, apiId: api.id, stage: stage.name }, child)
      : api.apiEndpoint;
    this.id = api.id;
    this.registerOutputs({ url: this.url });
  }
}

interface DomainArgs {
  domain: string;
  zone: string;
  apiId: pulumi.Output<string>;
  stage: pulumi.Output<string>;
}

/** Serves the API at a host name. Returns the URL, after the name leads to the API. */
function createDomain(
  name: string,
  { domain, zone, apiId, stage }: DomainArgs,
  child: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const certificateArn = createCertificate(name, { domain, zone }, child);
  const { domainNameConfiguration: served, id } = new aws.apigatewayv2.DomainName(
    name,
    {
      domainName: domain,
      domainNameConfiguration: {
        certificateArn,
        endpointType: "REGIONAL",
        securityPolicy: "TLS_1_2",
        ipAddressType: "dualstack",
      },
    },
    child,
  );
  const mapping = new aws.apigatewayv2.ApiMapping(name, { apiId, domainName: id, stage }, child);
  const target = { name: served.targetDomainName, zoneId: served.hostedZoneId };
  const records = createAlias(name, { domain, zone, target, types: ["A", "AAAA"] }, child);
  return pulumi.all([mapping.id, ...records.map((record) => record.id)]).apply(() => `https://${domain}`);
}

function createRoute(
  { key, lambda, auth }: RouteArgs,
  api: aws.apigatewayv2.Api,
  authorizer: aws.apigatewayv2.Authorizer,
  child: pulumi.CustomResourceOptions,
): aws.apigatewayv2.Route {
  const name = key.toLowerCase().replaceAll(/\W+/g, "-");
  const integration = new aws.apigatewayv2.Integration(
    name,
    {
      apiId: api.id,
      integrationType: "AWS_PROXY",
      integrationUri: lambda.function.arn,
      payloadFormatVersion: "2.0",
    },
    child,
  );
  new aws.lambda.Permission(
    name,
    {
      action: "lambda:InvokeFunction",
      function: lambda.function.name,
      principal: "apigateway.amazonaws.com",
      sourceArn: pulumi.interpolate`${api.executionArn}/*/${key.replace(" ", "")}`,
    },
    child,
  );
  return new aws.apigatewayv2.Route(
    name,
    {
      apiId: api.id,
      routeKey: key,
      target: pulumi.interpolate`integrations/${integration.id}`,
      ...(auth === "id-token" && { authorizationType: "JWT", authorizerId: authorizer.id }),
    },
    child,
  );
}

function throttling({ ratePerSecond, burst }: Limits) {
  return { throttlingRateLimit: ratePerSecond, throttlingBurstLimit: burst };
}

/** Log format without personal data: no IP address, no token, no user id. */
const accessLogFormat = JSON.stringify({
  requestId: "$context.requestId",
  route: "$context.routeKey",
  status: "$context.status",
  latencyMs: "$context.responseLatency",
  error: "$context.error.message",
  integrationError: "$context.integrationErrorMessage",
});
