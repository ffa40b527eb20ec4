import * as z from "zod/mini";
import { type ErrorCode, errorCodes } from "./errors";
import { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ModelCard, ModelList } from "./openai";
import { CheckoutRequest, PlanResponse, RedirectResponse } from "./plan";
import { SessionResponse } from "./session";
import { StreamItem, WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

const components = {
  SessionResponse,
  PlanResponse,
  CheckoutRequest,
  RedirectResponse,
  WorkerInput,
  WorkerOutput,
  StreamItem,
  Error: WorkerFailure,
  ChatCompletionRequest,
  ChatCompletion,
  ChatCompletionChunk,
  ModelCard,
  ModelList,
};
type Component = keyof typeof components;

const ref = (name: Component) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: object) => ({ "application/json": { schema } });
const ok = (name: Component) => ({ "200": { description: "Done", content: json(ref(name)) } });

/** The product's errors that an operation may answer, by the status of their codes. */
function errors(...codes: ErrorCode[]) {
  const statuses = [...new Set(codes.map((code) => errorCodes[code].status))].sort();
  return Object.fromEntries(
    statuses.map((status) => {
      const description = codes.filter((code) => errorCodes[code].status === status).join(", ");
      return [String(status), { description, content: json(ref("Error")) }];
    }),
  );
}

const anyTime = ["unavailable", "internal"] as const;
const signedIn = { security: [{ idToken: [] }] };
const identity = ["unauthorized", "wrong_token", "rate_limited", ...anyTime] as const;

/** The auth/billing API. */
const api = {
  "/auth/session": {
    post: {
      summary: "Plan, inference route and a ticket",
      ...signedIn,
      responses: { ...ok("SessionResponse"), ...errors(...identity) },
    },
  },
  "/auth/guest": {
    post: {
      summary: "The same for someone not signed in, limited per address",
      security: [],
      responses: { ...ok("SessionResponse"), ...errors("rate_limited", ...anyTime) },
    },
  },
  "/billing/plan": {
    get: { summary: "The plan, and why", ...signedIn, responses: { ...ok("PlanResponse"), ...errors(...identity) } },
  },
  "/billing/checkout": {
    post: {
      summary: "Where to pay for a plan",
      ...signedIn,
      requestBody: { required: true, content: json(ref("CheckoutRequest")) },
      responses: {
        ...ok("RedirectResponse"),
        ...errors("invalid_input", "already_subscribed", "checkout_refused", ...identity),
      },
    },
  },
  "/billing/portal": {
    post: {
      summary: "Where to change or cancel a plan, or mend a card",
      ...signedIn,
      responses: { ...ok("RedirectResponse"), ...errors("nothing_bought", ...identity) },
    },
  },
  "/billing/sync": {
    post: {
      summary: "The plan as Stripe has it now",
      ...signedIn,
      responses: { ...ok("PlanResponse"), ...errors(...identity) },
    },
  },
  "/webhook/stripe": {
    post: {
      summary: "For Stripe's events",
      security: [],
      parameters: [{ name: "stripe-signature", in: "header", required: true, schema: { type: "string" } }],
      requestBody: { required: true, content: json({ type: "object" }) },
      responses: { "200": { description: "Taken" }, ...errors("signature_invalid", ...anyTime) },
    },
  },
};

const servers = [
  {
    url: "https://api.runpod.ai/v2/{endpoint}",
    description: "`inference.url` of the session",
    variables: { endpoint: { default: "endpoint" } },
  },
];
const job = {
  in: "path",
  name: "id",
  required: true,
  schema: { type: "string" },
};
const object = (properties: Record<string, object>) => ({ type: "object", properties });
const status = { status: { enum: ["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"] } };
const failed = { error: { type: "string", contentMediaType: "application/json", contentSchema: ref("Error") } };
const answer = (description: string, schema: object) => ({ "200": { description, content: json(schema) } });
const refused = { "401": { description: "The key may not call this endpoint" } };
const modelFailed = { "500": { description: "The job failed", content: json(ref("Error")) } };

/** Inference: RunPod's job API, and its OpenAI route, with what our worker takes and gives. */
const inference = {
  "/run": {
    post: {
      summary: "Queues a chat",
      requestBody: { required: true, content: json(object({ input: ref("WorkerInput") })) },
      responses: { ...answer("Queued", object({ id: { type: "string" }, ...status })), ...refused },
    },
  },
  "/stream/{id}": {
    get: {
      summary: "What was said since the last call",
      parameters: [job],
      responses: {
        ...answer(
          "Read once",
          object({ ...status, stream: { type: "array", items: object({ output: ref("StreamItem") }) } }),
        ),
        ...refused,
      },
    },
  },
  "/status/{id}": {
    get: {
      summary: "The whole chat; a failed one's error is JSON text",
      parameters: [job],
      responses: {
        ...answer("So far", object({ ...status, output: { type: "array", items: ref("StreamItem") }, ...failed })),
        ...refused,
      },
    },
  },
  "/openai/v1/chat/completions": {
    post: {
      summary: "OpenAI's chat completions; the ticket is an extra field of the body",
      requestBody: { required: true, content: json(ref("ChatCompletionRequest")) },
      responses: {
        "200": {
          description: "The reply",
          content: { ...json(ref("ChatCompletion")), "text/event-stream": { schema: ref("ChatCompletionChunk") } },
        },
        ...refused,
        ...modelFailed,
      },
    },
  },
  "/openai/v1/models": {
    get: { summary: "The endpoint's one model", responses: { ...ok("ModelList"), ...refused, ...modelFailed } },
  },
  "/openai/v1/models/{id}": {
    get: {
      summary: "The model by its name",
      parameters: [job],
      responses: { ...ok("ModelCard"), ...refused, ...modelFailed },
    },
  },
};

/** OpenAPI 3.1 of everything a frontend calls, from the same schemas that check it. */
export function openApi(): object {
  const schema = (type: z.ZodMiniType) => {
    const { $schema, ...rest } = z.toJSONSchema(type, { target: "draft-2020-12", io: "input" });
    return rest;
  };
  const onRunpod = Object.entries(inference).map(([path, item]) => [path, { servers, ...item }]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Snack Misaki",
      version: "1",
      description: "Two domains: the auth and billing API, and inference. Answers may gain fields.",
    },
    servers: [{ url: "https://{api}", description: "stack output `apiUrl`", variables: { api: { default: "api" } } }],
    security: [{ endpointKey: [] }],
    paths: { ...api, ...Object.fromEntries(onRunpod) },
    components: {
      schemas: Object.fromEntries(Object.entries(components).map(([name, type]) => [name, schema(type)])),
      securitySchemes: {
        idToken: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "Cognito's ID token" },
        endpointKey: { type: "http", scheme: "bearer", description: "`inference.authorization` of the session" },
      },
    },
  };
}
