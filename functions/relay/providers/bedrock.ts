import {
  BedrockRuntimeClient,
  type TokenUsage as BedrockUsage,
  ConverseStreamCommand,
  type ConverseStreamCommandInput,
  type ConverseStreamOutput,
  type StopReason,
  type SystemContentBlock,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { inferenceProfileNeeded, parseInferenceProfile } from "../../core/relay/inferenceProfile";
import { type Provider, type ProviderChat, ProviderFailure, type TokenUsage } from "../../core/relay/provider";
import type { ProviderSource } from ".";
import { createProvider, type ReplyPart } from "./createProvider";
import { acceptedSampling, takesCachePoint, thinkingTokens } from "./modelTraits";

/**
 * Models of Amazon Bedrock through ConverseStream, with the role of the Lambda. Environment: `BEDROCK_MODEL` (an
 * inference profile), `BEDROCK_EFFORT`, `BEDROCK_REGION`, and AWS's own `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
 */
export function create({ env }: Pick<ProviderSource, "env">): Provider {
  const { BEDROCK_MODEL: model = "", BEDROCK_EFFORT: effort, BEDROCK_REGION: region } = env;
  let client: BedrockRuntimeClient | undefined;
  return createProvider<ConverseStreamOutput>({
    name: "bedrock",
    model,
    effort,
    open: async (chat, signal) => {
      if (!parseInferenceProfile(model))
        throw new ProviderFailure("misconfigured", `bedrock: ${inferenceProfileNeeded}`);
      client ??= createClient(region);
      const command = new ConverseStreamCommand(requestOf(model, effort, chat));
      const { stream } = await client.send(command, { abortSignal: signal });
      if (!stream) throw new ProviderFailure("broken", "bedrock: the response has no stream");
      return stream;
    },
    read,
  });
}

/** Creates a client for HTTP/1.1. It always signs with the role, even if the environment contains a bearer token. */
function createClient(region: string | undefined): BedrockRuntimeClient {
  const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY };
  const client = new BedrockRuntimeClient({
    ...(region && { region }),
    maxAttempts: 1,
    authSchemePreference: ["aws.auth#sigv4"],
    requestHandler: new NodeHttpHandler({ httpAgent: agent, httpsAgent: agent }),
  });
  skipMalformedFrames(client);
  return client;
}

/** Makes the client skip frames with a payload that is not JSON. By default, such a frame ends the stream. */
function skipMalformedFrames(client: BedrockRuntimeClient): void {
  const marshaller = client.config.eventStreamMarshaller;
  const deserialize: typeof marshaller.deserialize = marshaller.deserialize.bind(marshaller);
  marshaller.deserialize = (body, readFrame) =>
    deserialize(body, (frame) =>
      readFrame(frame).catch((error: unknown) => {
        if (!(error instanceof SyntaxError)) throw error;
        // The SDK skips events that it does not know.
        return { $unknown: frame } as never;
      }),
    );
}

function requestOf(model: string, effort: string | undefined, chat: ProviderChat): ConverseStreamCommandInput {
  const { temperature, top_p } = acceptedSampling(model, effort, chat.sampling);
  return {
    modelId: model,
    messages: chat.messages.map(({ role, content }) => ({ role, content: [{ text: content }] })),
    system: systemOf(model, chat),
    inferenceConfig: {
      maxTokens: chat.maxTokens + thinkingTokens(model, effort),
      // Converse accepts no temperature above 1.
      ...(temperature !== undefined && { temperature: Math.min(1, temperature) }),
      ...(top_p !== undefined && { topP: top_p }),
    },
    ...(effort === "none" && { additionalModelRequestFields: { thinking: { type: "disabled" } } }),
    ...(effort && effort !== "none" && { outputConfig: { effort } }),
  };
}

/** The greeting changes with the time, so the cached part of the prompt ends before the greeting. */
function systemOf(model: string, { system: { persona, greeting } }: ProviderChat): SystemContentBlock[] {
  return [
    ...(persona ? [{ text: persona }] : []),
    ...(persona && takesCachePoint(model) ? [{ cachePoint: { type: "default" as const } }] : []),
    ...(greeting ? [{ text: greeting }] : []),
  ];
}

/** Reads an event. The usage comes after the finish reason. */
function read(event: ConverseStreamOutput): ReplyPart {
  return {
    text: event.contentBlockDelta?.delta?.text,
    finishReason: finishReasonOf(event.messageStop?.stopReason),
    usage: usageOf(event.metadata?.usage),
  };
}

function finishReasonOf(reason: StopReason | undefined): ReplyPart["finishReason"] {
  switch (reason) {
    case undefined:
      return undefined;
    case "content_filtered":
    case "guardrail_intervened":
      return "filter";
    case "model_context_window_exceeded":
      return "context_window";
    case "malformed_model_output":
      throw new ProviderFailure("upstream_error", "bedrock: malformed_model_output");
    default:
      return reason === "max_tokens" ? "length" : "stop";
  }
}

/** Converts token counts. `inputTokens` includes no cached tokens. */
function usageOf(usage: BedrockUsage | undefined): Partial<TokenUsage> | undefined {
  if (!usage) return undefined;
  const { inputTokens = 0, outputTokens = 0, cacheReadInputTokens: cached, cacheWriteInputTokens: written } = usage;
  return {
    prompt_tokens: inputTokens + (cached ?? 0) + (written ?? 0),
    completion_tokens: outputTokens,
    ...(cached !== undefined && { cached_tokens: cached }),
  };
}
