import * as z from "zod/mini";
import type { ZodOpenApiPathsObject } from "zod-openapi";
import {
  CancelRequest,
  CancelResponse,
  ChatId,
  ChatReply,
  ChatRequest,
  LegacyChatResponse,
  LegacyConversation,
  LegacyMessage,
  RelayFailure,
  RelayItem,
} from "../relay";
import { chatId, chatReply, legacyReply } from "./examples";
import { errors, functionUrl, json, ok, toExamples } from "./responses";

const servers = [
  {
    url: "https://{relay}",
    description: "`inference.url` of a session of kind `relay`; stack output `relayUrl`",
    variables: { relay: { default: "relay" } },
  },
];
const always = ["unavailable", "internal"] as const;
const ticketFaults = ["ticket_missing", "ticket_invalid", "ticket_expired", "ticket_wrong_model"] as const;
const cancelTicketFaults = ["ticket_missing", "ticket_invalid", "ticket_expired"] as const;
const requestId = { "x-request-id": { description: "Id of the chat", schema: { type: "string" as const } } };
const serverTiming = {
  "server-timing": {
    description: "`start;dur=<ms>`: milliseconds until the first text",
    schema: { type: "string" as const },
  },
};

const chatCodes = [
  "invalid_input",
  "too_long",
  ...ticketFaults,
  "conflict",
  "cancelled",
  "rate_limited",
  "overloaded",
  "timeout",
  ...always,
] as const;

/** Inference over the relay. */
export const relayPaths: ZodOpenApiPathsObject = {
  "/chat": {
    servers,
    post: {
      operationId: "chat",
      tags: ["Relay"],
      summary: "Streams a reply",
      description:
        "The last event has `done` or `error`. Without `Accept: text/event-stream` the answer is one JSON object. A body " +
        "with `message` or `conversation` comes from the product's first web frontend. Such a request needs no ticket.",
      // The ticket may also be a field of the body.
      security: [{ ticket: [] }, {}],
      requestBody: {
        required: true,
        content: json(z.union([ChatRequest, LegacyMessage, LegacyConversation]), {
          text: { id: chatId, text: "こんばんは" },
          conversation: {
            messages: [
              { role: "user", content: "こんばんは" },
              { role: "assistant", content: "あら、いらっしゃい。" },
              { role: "user", content: "今日は疲れたよ" },
            ],
          },
          firstFrontend: { message: "こんばんは" },
        }),
      },
      responses: {
        ...ok(
          functionUrl,
          {
            ...json(z.union([ChatReply, LegacyChatResponse]), { reply: chatReply, firstFrontend: legacyReply }),
            "text/event-stream": {
              schema: RelayItem,
              examples: toExamples({ delta: { delta: "あら、" }, done: { ...chatReply, done: true } }),
            },
          },
          "The reply. In a stream, the data of each event is one item",
          { ...requestId, ...serverTiming },
        ),
        ...errors(functionUrl, chatCodes, { error: RelayFailure, headers: requestId }),
      },
    },
  },
  "/chat/{id}/cancel": {
    servers,
    post: {
      operationId: "cancelChat",
      tags: ["Relay"],
      summary: "Cancels a running chat of the same user",
      description: "The ticket may also be a field of the body.",
      security: [{ ticket: [] }],
      requestParams: { path: z.object({ id: ChatId.check(z.meta({ param: { example: chatId } })) }) },
      requestBody: { content: json(CancelRequest, { empty: {} }) },
      responses: {
        ...ok(functionUrl, json(CancelResponse, { cancelled: { id: chatId, cancelled: true } })),
        ...errors(functionUrl, ["invalid_input", ...cancelTicketFaults, "not_found", "overloaded", ...always], {
          error: RelayFailure,
        }),
      },
    },
  },
};
