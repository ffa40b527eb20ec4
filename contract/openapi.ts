import * as z from "zod/mini";
import { createDocument, type ZodOpenApiObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import { type ErrorCode, errorCodes } from "./errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "./openai";
import { CheckoutRequest, PlanResponse, PortalRequest, RedirectResponse } from "./plan";
import { CancelRequest, CancelResponse, ChatReply, ChatRequest, RelayItem } from "./relay";
import { SessionResponse } from "./session";
import { StreamItem, WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

/** Error that API Gateway itself sends, such as `{"message":"Unauthorized"}`. */
const GatewayError = z.object({ message: z.string() });
/** Error that Lambda itself sends for the relay's URL. The field is `message` or `Message`, depending on the error. */
const FunctionUrlError = z.object({ message: z.optional(z.string()), Message: z.optional(z.string()) });

/** Schemas that the document defines once and references by these names. */
const components = {
  SessionResponse,
  PlanResponse,
  CheckoutRequest,
  PortalRequest,
  RedirectResponse,
  ChatRequest,
  ChatReply,
  RelayItem,
  CancelResponse,
  WorkerInput,
  WorkerOutput,
  StreamItem,
  Error: WorkerFailure,
  GatewayError,
  FunctionUrlError,
  ChatCompletionRequest,
  ChatCompletion,
  ChatCompletionChunk,
  ModelCard,
  ModelList,
};

const json = (schema: z.ZodMiniType) => ({ "application/json": { schema } });
const ok = (schema: z.ZodMiniType, description = "Success") => ({ "200": { description, content: json(schema) } });

/**
 * An AWS service in front of a function. The service refuses some requests before the function runs. Its errors have
 * another format than ours.
 */
interface Front {
  name: string;
  error: z.ZodMiniType;
  statuses: number[];
}

const gateway: Front = { name: "API Gateway", error: GatewayError, statuses: [413, 429, 500, 503] };
/** The authorizer of API Gateway checks the ID token before the function does. */
const authorizer: Front = { ...gateway, statuses: [401, ...gateway.statuses] };
const functionUrl: Front = { name: "Lambda", error: FunctionUrlError, statuses: [403, 413, 429] };

/**
 * Error responses, one per HTTP status. The description of a response lists our error codes with that status. It also
 * names the AWS service if the service itself sends that status.
 */
function errors(front: Front, ...codes: ErrorCode[]): ZodOpenApiResponsesObject {
  const statuses = new Set([...codes.map((code) => errorCodes[code].status), ...front.statuses]);
  return Object.fromEntries(
    [...statuses].map((status) => {
      const ours = codes.filter((code) => errorCodes[code].status === status);
      const isOfFront = front.statuses.includes(status);
      const description = [...ours, ...(isOfFront ? [`an error of ${front.name}`] : [])].join(", ");
      const both = isOfFront ? z.union([WorkerFailure, front.error]) : WorkerFailure;
      return [status, { description, content: json(ours.length === 0 ? front.error : both) }];
    }),
  );
}

const always = ["unavailable", "internal"] as const;
const signedIn = { security: [{ idToken: [] }] };
const identity = ["unauthorized", "wrong_token", ...always] as const;

/** Auth and billing API. */
const apiPaths: ZodOpenApiObject["paths"] = {
  "/auth/session": {
    post: {
      summary: "The customer's plan, inference route and ticket",
      ...signedIn,
      responses: { ...ok(SessionResponse), ...errors(authorizer, "invalid_input", ...identity) },
    },
  },
  "/auth/guest": {
    post: {
      summary:
        "The same for a guest without sign-in. An address may only bring some new guests an hour. A request with the ticket " +
        "of an earlier guest session renews that guest's session",
      security: [{}, { ticket: [] }],
      responses: { ...ok(SessionResponse), ...errors(gateway, "invalid_input", "rate_limited", ...always) },
    },
  },
  "/billing/plan": {
    get: {
      summary: "The customer's plan and its reason",
      ...signedIn,
      responses: { ...ok(PlanResponse), ...errors(authorizer, ...identity) },
    },
  },
  "/billing/checkout": {
    post: {
      summary: "URL of a Stripe Checkout page for a plan",
      ...signedIn,
      requestBody: { required: true, content: json(CheckoutRequest) },
      responses: {
        ...ok(RedirectResponse),
        ...errors(authorizer, "invalid_input", "already_subscribed", "checkout_refused", "rate_limited", ...identity),
      },
    },
  },
  "/billing/portal": {
    post: {
      summary: "URL of Stripe's customer portal: change or cancel the plan, update the card",
      ...signedIn,
      requestBody: { content: json(PortalRequest) },
      responses: {
        ...ok(RedirectResponse),
        ...errors(authorizer, "invalid_input", "nothing_bought", "rate_limited", ...identity),
      },
    },
  },
  "/billing/sync": {
    post: {
      summary: "The customer's plan, read from Stripe now",
      ...signedIn,
      responses: { ...ok(PlanResponse), ...errors(authorizer, "invalid_input", "rate_limited", ...identity) },
    },
  },
  "/webhook/stripe": {
    post: {
      summary: "Receives Stripe's events",
      security: [],
      parameters: [{ name: "stripe-signature", in: "header", required: true, schema: { type: "string" } }],
      requestBody: { required: true, content: { "application/json": { schema: { type: "object" } } } },
      responses: {
        "200": { description: "Accepted" },
        ...errors(gateway, "signature_invalid", "too_long", "rate_limited", ...always),
      },
    },
  },
};

const relayServers = [
  {
    url: "https://{relay}",
    description: "`inference.url` of a session of kind `relay`; stack output `relayUrl`",
    variables: { relay: { default: "relay" } },
  },
];
const ticketFaults = ["ticket_missing", "ticket_invalid", "ticket_expired", "ticket_wrong_model"] as const;

const crashed = { "502": { description: "The function failed. The body is text" } };
const withTicket = { security: [{ ticket: [] }] };
const id = { in: "path", name: "id", required: true, schema: { type: "string" } } as const;

/** Inference over the relay. */
const relayPaths: ZodOpenApiObject["paths"] = {
  "/chat": {
    servers: relayServers,
    post: {
      summary:
        "Streams a reply; the last event has `done` or `error`. Without `Accept: text/event-stream`, one JSON object",
      ...withTicket,
      requestBody: { required: true, content: json(ChatRequest) },
      responses: {
        "200": {
          description: "The data of each event is one item",
          content: { ...json(ChatReply), "text/event-stream": { schema: RelayItem } },
        },
        ...errors(
          functionUrl,
          "invalid_input",
          "too_long",
          ...ticketFaults,
          "conflict",
          "cancelled",
          "rate_limited",
          "overloaded",
          "timeout",
          ...always,
        ),
        ...crashed,
      },
    },
  },
  "/chat/{id}/cancel": {
    servers: relayServers,
    post: {
      summary: "Cancels a running chat of the same user",
      ...withTicket,
      parameters: [id],
      requestBody: { content: json(CancelRequest) },
      responses: {
        ...ok(CancelResponse),
        ...errors(functionUrl, "invalid_input", ...ticketFaults, "not_found", "overloaded", ...always),
        ...crashed,
      },
    },
  },
};

const servers = [
  {
    url: "https://api.runpod.ai/v2/{endpoint}",
    description: "`inference.url` of a session of kind `runpod`",
    variables: { endpoint: { default: "endpoint" } },
  },
];
const status = z.enum(["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]);
const failureText = z
  .string()
  .check(z.meta({ contentMediaType: "application/json", contentSchema: { $ref: "#/components/schemas/Error" } }));
const keyRefused = { "401": { description: "The key may not call this endpoint" } };
const jobFailed = { "500": { description: "The job failed", content: json(WorkerFailure) } };

/** Inference without the relay: RunPod's job API and its OpenAI route, with the worker's requests and responses. */
const inferencePaths: ZodOpenApiObject["paths"] = {
  "/run": {
    servers,
    post: {
      summary: "Queues a chat",
      requestBody: { required: true, content: json(z.object({ input: WorkerInput })) },
      responses: { ...ok(z.object({ id: z.string(), status }), "Queued"), ...keyRefused },
    },
  },
  "/stream/{id}": {
    servers,
    get: {
      summary: "Stream items since the last call",
      parameters: [id],
      responses: {
        ...ok(z.object({ status, stream: z.array(z.object({ output: StreamItem })) }), "Each item is returned once"),
        ...keyRefused,
      },
    },
  },
  "/status/{id}": {
    servers,
    get: {
      summary: "The whole chat; the error of a failed job is JSON text",
      parameters: [id],
      responses: {
        ...ok(
          z.object({ status, output: z.optional(z.array(StreamItem)), error: z.optional(failureText) }),
          "The job's current state",
        ),
        ...keyRefused,
      },
    },
  },
  "/openai/v1/chat/completions": {
    servers,
    post: {
      summary: "OpenAI's chat completions; the ticket is an extra field of the body",
      requestBody: { required: true, content: json(ChatCompletionRequest) },
      responses: {
        "200": {
          description: "The reply",
          content: { ...json(ChatCompletion), "text/event-stream": { schema: ChatCompletionChunk } },
        },
        ...keyRefused,
        ...jobFailed,
      },
    },
  },
  "/openai/v1/models": {
    servers,
    get: { summary: "The endpoint's only model", responses: { ...ok(ModelList), ...keyRefused, ...jobFailed } },
  },
  "/openai/v1/models/{id}": {
    servers,
    get: {
      summary: "The model by its name",
      parameters: [id],
      responses: { ...ok(ModelCard), ...keyRefused, ...jobFailed },
    },
  },
};

/** OpenAPI 3.1 document of every call that a frontend makes, built from the schemas that validate those calls. */
export function openApi(): object {
  return createDocument(
    {
      openapi: "3.1.0",
      info: {
        title: "Snack Misaki",
        version: "1",
        description: "Two domains: the auth and billing API, and inference. Answers may gain fields.",
      },
      servers: [{ url: "https://{api}", description: "stack output `apiUrl`", variables: { api: { default: "api" } } }],
      security: [{ endpointKey: [] }],
      paths: { ...apiPaths, ...relayPaths, ...inferencePaths },
      components: {
        schemas: components,
        securitySchemes: {
          idToken: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "Cognito's ID token" },
          endpointKey: {
            type: "http",
            scheme: "bearer",
            description: "`inference.authorization` of a session of kind `runpod`",
          },
          ticket: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "The session's ticket" },
        },
      },
    },
    {
      // zod-openapi adds `additionalProperties: false` to every object of a response. Our responses may gain fields, so
      // this callback removes that property from all objects that are not strict.
      override({ jsonSchema, zodSchema: { _zod } }) {
        if (_zod.def.type === "object" && !_zod.def.catchall) delete jsonSchema.additionalProperties;
      },
    },
  );
}
