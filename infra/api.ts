import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config";
import type { Identity } from "./identity";
import type { Lambda } from "./lambda";

/** A route: its key, the function behind it, and whether the caller must be signed in. */
export interface RouteArgs {
  /** `POST /auth/session`. Explicit: `ANY` and `$default` would send preflights to the authorizer. */
  key: string;
  lambda: Lambda<object>;
  auth: "id-token" | "none";
}

/** The auth/billing API: an HTTP API with Cognito's JWT authorizer. It knows nothing of prompts. */
export class HttpApi extends pulumi.ComponentResource {
  readonly url: pulumi.Output<string>;

  constructor(
    name: string,
    args: { identity: Identity; routes: RouteArgs[] } & Pick<Config, "frontend" | "throttle">,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:HttpApi", name, {}, opts);
    const child = { parent: this };
    const api = new aws.apigatewayv2.Api(
      name,
      {
        protocolType: "HTTP",
        corsConfiguration: {
          allowOrigins: args.frontend.origins,
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
        jwtConfiguration: { issuer: args.identity.issuer, audiences: [args.identity.clientId] },
      },
      child,
    );
    const routes = args.routes.map(({ key, lambda, auth }) => {
      const routeName = key.toLowerCase().replaceAll(/\W+/g, "-");
      const integration = new aws.apigatewayv2.Integration(
        routeName,
        {
          apiId: api.id,
          integrationType: "AWS_PROXY",
          integrationUri: lambda.function.arn,
          payloadFormatVersion: "2.0",
        },
        child,
      );
      new aws.lambda.Permission(
        routeName,
        {
          action: "lambda:InvokeFunction",
          function: lambda.function.name,
          principal: "apigateway.amazonaws.com",
          sourceArn: pulumi.interpolate`${api.executionArn}/*/${key.replace(" ", "")}`,
        },
        child,
      );
      return new aws.apigatewayv2.Route(
        routeName,
        {
          apiId: api.id,
          routeKey: key,
          target: pulumi.interpolate`integrations/${integration.id}`,
          ...(auth === "id-token" && { authorizationType: "JWT", authorizerId: authorizer.id }),
        },
        child,
      );
    });
    const log = new aws.cloudwatch.LogGroup(`${name}-access`, { retentionInDays: 30 }, child);
    new aws.apigatewayv2.Stage(
      name,
      {
        apiId: api.id,
        name: "$default",
        autoDeploy: true,
        defaultRouteSettings: {
          throttlingRateLimit: args.throttle.ratePerSecond,
          throttlingBurstLimit: args.throttle.burst,
        },
        accessLogSettings: { destinationArn: log.arn, format: accessLogFormat },
      },
      { ...child, dependsOn: routes },
    );
    this.url = api.apiEndpoint;
    this.registerOutputs();
  }
}

/** Who is not in it: no address, no token, no user id. */
const accessLogFormat = JSON.stringify({
  requestId: "$context.requestId",
  route: "$context.routeKey",
  status: "$context.status",
  latencyMs: "$context.responseLatency",
  error: "$context.error.message",
  integrationError: "$context.integrationErrorMessage",
});
