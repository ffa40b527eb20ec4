import { createDocument } from "zod-openapi";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "../openai";
import { CheckoutRequest, PlanResponse, PortalRequest, RedirectResponse, WebhookResponse } from "../plan";
import { CancelResponse, ChatReply, ChatRequest, LegacyChatResponse, RelayFailure, RelayItem } from "../relay";
import { SessionResponse } from "../session";
import { StreamItem, WorkerFailure, WorkerInput } from "../worker";
import { apiPaths } from "./apiPaths";
import { relayPaths } from "./relayPaths";
import { FunctionUrlError, GatewayError, RunpodError } from "./responses";
import { runpodPaths } from "./runpodPaths";

/** Schemas that the document defines once and references by these names. */
const schemas = {
  SessionResponse,
  PlanResponse,
  CheckoutRequest,
  PortalRequest,
  RedirectResponse,
  WebhookResponse,
  ChatRequest,
  ChatReply,
  RelayItem,
  RelayError: RelayFailure,
  CancelResponse,
  LegacyChatResponse,
  WorkerInput,
  StreamItem,
  Error: WorkerFailure,
  GatewayError,
  FunctionUrlError,
  RunpodError,
  ChatCompletionRequest,
  ChatCompletion,
  ChatCompletionChunk,
  ModelCard,
  ModelList,
};

const tags = [
  { name: "Auth", description: "Auth and billing API: sessions" },
  { name: "Billing", description: "Auth and billing API: plans and payments" },
  { name: "Relay", description: "Inference: chats of every plan" },
  {
    name: "RunPod",
    description: "Inference without the relay: the job API and the OpenAI route of a model's endpoint",
  },
];

const bearer = { type: "http", scheme: "bearer" } as const;

/** An operation of the document. The type contains only the fields that our code reads. */
export interface Operation {
  operationId: string;
  responses: Record<string, Answer>;
}

/** A response of the document, without references. */
export interface Answer {
  content?: Record<string, { schema: object; examples?: Record<string, { value: unknown }> }>;
}

interface ServerUrl {
  url: string;
  description: string;
}

/** The OpenAPI document. The type contains only the fields that our code reads. */
export interface OpenApi {
  openapi: string;
  info: { description: string };
  servers: ServerUrl[];
  paths: Record<string, { servers?: ServerUrl[] } & Partial<Record<"get" | "post", Operation>>>;
  components: { schemas: Record<string, object>; responses: Record<string, Answer> };
}

/**
 * OpenAPI 3.1 document of every call that a frontend makes, built from the schemas that validate those calls.
 *
 * @param options.strict whether the schemas of responses refuse unknown fields. Clients must ignore unknown fields, so
 * only the tests of our own answers set this option
 */
export function openApi({ strict = false } = {}): OpenApi {
  return createDocument(
    {
      openapi: "3.1.0",
      info: {
        title: "Snack Misaki",
        version: "1",
        description: "Two domains: the auth and billing API, and inference. Later versions may add fields to answers.",
        license: { name: "MIT", identifier: "MIT" },
      },
      servers: [{ url: "https://{api}", description: "stack output `apiUrl`", variables: { api: { default: "api" } } }],
      security: [{ endpointKey: [] }],
      tags,
      paths: { ...apiPaths, ...relayPaths, ...runpodPaths },
      components: {
        schemas,
        securitySchemes: {
          idToken: { ...bearer, bearerFormat: "JWT", description: "Cognito's ID token" },
          endpointKey: { ...bearer, description: "`inference.authorization` of a session of kind `runpod`" },
          ticket: { ...bearer, bearerFormat: "JWT", description: "The session's ticket" },
        },
      },
    },
    {
      // zod-openapi adds `additionalProperties: false` to every object of a response. Our responses may gain fields, so
      // this callback removes that property from all objects that are not strict.
      override({ jsonSchema, zodSchema: { _zod } }) {
        if (!strict && _zod.def.type === "object" && !_zod.def.catchall) delete jsonSchema.additionalProperties;
      },
    },
  ) as unknown as OpenApi;
}

/** Servers of the document: the auth and billing API, the relay, and the job API of an endpoint. */
export type Server = "api" | "relay" | "runpod";

/** The server of a path. @param item the path's item in the document */
export function serverOf(path: string, item: OpenApi["paths"][string]): Server {
  if (!item.servers) return "api";
  return path.startsWith("/chat") ? "relay" : "runpod";
}
