import { z } from "zod";
import { type ResourceType, randomId } from "../support/resource";
import { text } from "../support/values";

/** Type tokens of an HTTP API and its parts. */
export const HTTP_API = {
  api: "aws:apigatewayv2/api:Api",
  authorizer: "aws:apigatewayv2/authorizer:Authorizer",
  integration: "aws:apigatewayv2/integration:Integration",
  route: "aws:apigatewayv2/route:Route",
  stage: "aws:apigatewayv2/stage:Stage",
  mapping: "aws:apigatewayv2/apiMapping:ApiMapping",
} as const;

const throttlingNumber = (property: string) =>
  z
    .number({
      error: `${property} is required in these settings: AWS reads a missing number as 0 and answers 429 to every request`,
    })
    .min(0);

const throttling = z.looseObject({
  throttlingBurstLimit: throttlingNumber("throttlingBurstLimit"),
  throttlingRateLimit: throttlingNumber("throttlingRateLimit"),
});

/** aws:apigatewayv2/api:Api. Its endpoint is a port on localhost. */
export const api: ResourceType = {
  type: HTTP_API.api,
  isTaggable: true,
  inputs: z.looseObject({
    name: z.string().min(1).max(128).optional(),
    protocolType: z.literal("HTTP", "must be HTTP: the local cloud does not support WebSocket APIs"),
    ipAddressType: z.enum(["ipv4", "dualstack"]).optional(),
    disableExecuteApiEndpoint: z.boolean().optional(),
    corsConfiguration: z
      .looseObject({
        allowOrigins: z.array(z.string()).optional(),
        allowMethods: z.array(z.string()).optional(),
        allowHeaders: z.array(z.string()).optional(),
        exposeHeaders: z.array(z.string()).optional(),
        allowCredentials: z.boolean().optional(),
        maxAge: z.number().int().min(-1).max(86_400).optional(),
      })
      .refine((cors) => cors.allowCredentials !== true || !cors.allowOrigins?.includes("*"), {
        path: ["allowOrigins"],
        error: "must not contain * when allowCredentials is true",
      })
      .optional(),
  }),
  replaceOn: ["protocolType"],
  autoName: "name",
  id: () => randomId(10),
  defaults: {
    apiKeySelectionExpression: "$request.header.x-api-key",
    routeSelectionExpression: "$request.method $request.path",
    disableExecuteApiEndpoint: false,
    ipAddressType: "ipv4",
  },
  computed: {
    apiEndpoint: ({ returned }) => returned.apiEndpoint,
    arn: ({ id, account }) => `arn:${account.partition}:apigateway:${account.region}::/apis/${id}`,
    executionArn: ({ id, account }) => account.arn("execute-api", id),
  },
};

/** aws:apigatewayv2/authorizer:Authorizer of type JWT. */
export const authorizer: ResourceType = {
  type: HTTP_API.authorizer,
  inputs: z.looseObject({
    apiId: z.string(),
    authorizerType: z.literal("JWT", "must be JWT: the local cloud does not support REQUEST authorizers"),
    identitySources: z
      .array(
        z
          .string()
          .regex(
            /^\$request\.(header|querystring)\.\S+$/,
            "must be $request.header.<name> or $request.querystring.<name>",
          ),
      )
      .length(1),
    jwtConfiguration: z.looseObject({ issuer: z.url(), audiences: z.array(z.string()).min(1) }),
  }),
  replaceOn: ["apiId"],
  autoName: "name",
  id: () => randomId(6),
  computed: {},
};

/** aws:apigatewayv2/integration:Integration of a Lambda. */
export const integration: ResourceType = {
  type: HTTP_API.integration,
  inputs: z.looseObject({
    apiId: z.string(),
    integrationType: z.literal("AWS_PROXY", "must be AWS_PROXY: the local cloud integrates only Lambdas"),
    integrationUri: z.string().includes(":function:", "must be the ARN of a Lambda"),
    payloadFormatVersion: z.literal(
      "2.0",
      "must be 2.0: the default of the AWS provider is 1.0, which the local cloud does not support",
    ),
    timeoutMilliseconds: z.number().int().min(50).max(30_000).optional(),
  }),
  replaceOn: ["apiId", "integrationType", "integrationSubtype"],
  id: () => randomId(7),
  defaults: { connectionType: "INTERNET", integrationMethod: "POST", timeoutMilliseconds: 30_000 },
  computed: { integrationResponseSelectionExpression: () => "" },
};

/** aws:apigatewayv2/route:Route. */
export const route: ResourceType = {
  type: HTTP_API.route,
  inputs: z
    .looseObject({
      apiId: z.string(),
      routeKey: z
        .string()
        .regex(
          /^(\$default|(ANY|GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) \/\S*)$/,
          "must be $default or <METHOD> /<path>",
        ),
      target: z.string().startsWith("integrations/", "must be integrations/<integration id>").optional(),
      authorizationType: z.enum(["NONE", "JWT"]).optional(),
      authorizerId: z.string().optional(),
      authorizationScopes: z.array(z.string()).optional(),
    })
    .refine((inputs) => inputs.authorizationType !== "JWT" || inputs.authorizerId !== undefined, {
      path: ["authorizerId"],
      error: "is required with authorizationType JWT",
    }),
  replaceOn: ["apiId"],
  id: () => randomId(7),
  defaults: { apiKeyRequired: false, authorizationType: "NONE" },
  computed: {},
};

/** aws:apigatewayv2/stage:Stage. The stage $default is served at `/`, any other stage at `/<name>`. */
export const stage: ResourceType = {
  type: HTTP_API.stage,
  isTaggable: true,
  inputs: z.looseObject({
    apiId: z.string(),
    name: z
      .string()
      .regex(/^(\$default|[\w-]{1,128})$/, "must be $default, or letters, digits, _ and -")
      .optional(),
    defaultRouteSettings: throttling.optional(),
    routeSettings: z.array(throttling.extend({ routeKey: z.string() })).optional(),
  }),
  replaceOn: ["apiId", "name"],
  autoName: "name",
  scope: (inputs) => text(inputs, "apiId"),
  id: (inputs) => text(inputs, "name"),
  conflict: "ConflictException: Stage already exists",
  defaults: { autoDeploy: false },
  computed: {
    arn: ({ id, inputs, account }) =>
      `arn:${account.partition}:apigateway:${account.region}::/apis/${inputs.apiId}/stages/${id}`,
    executionArn: ({ id, inputs, account }) => account.arn("execute-api", `${inputs.apiId}/${id}`),
    invokeUrl: ({ id, inputs, account }) =>
      invokeUrl(String(account.get(HTTP_API.api, String(inputs.apiId))?.outputs.apiEndpoint), id),
    deploymentId: () => randomId(6),
  },
};

/** URL of a stage. */
export function invokeUrl(apiEndpoint: string, stage: string): string {
  return `${apiEndpoint}/${stage === "$default" ? "" : stage}`;
}
