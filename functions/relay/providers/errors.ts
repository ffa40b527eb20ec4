import type { FailureCause } from "../../core/relay/failure";
import { ProviderFailure } from "../../core/relay/provider";

/** Facts about an error of any of the SDKs. */
interface ErrorFacts {
  status: number | undefined;
  /** Codes and types, the most specific first: `insufficient_quota`, `ThrottlingException`, `ECONNRESET`. */
  codes: string[];
  /** The vendor's error text. It can quote the prompt or the key, so our messages never contain it. */
  words: string;
  header: (name: string) => string | undefined;
}

/** The vendors' error codes. A code says more than the status: `insufficient_quota` arrives as a 429. */
const codesByReason: Partial<Record<FailureCause, string[]>> = {
  rate_limited: ["rate_limit_error", "rate_limit_exceeded", "ThrottlingException"],
  overloaded: ["overloaded_error", "overloaded", "ServiceUnavailableException", "ModelNotReadyException"],
  upstream_error: [
    "api_error",
    "server_error",
    "timeout_error",
    "InternalServerException",
    "ModelErrorException",
    "ModelStreamErrorException",
  ],
  timeout: ["ModelTimeoutException"],
  context_too_long: ["context_length_exceeded", "request_too_large"],
  auth_or_quota: [
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "authentication_error",
    "permission_error",
    "invalid_api_key",
    "AccessDeniedException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ServiceQuotaExceededException",
  ],
  not_found: ["not_found_error", "model_not_found", "model_not_supported", "ResourceNotFoundException"],
  misconfigured: ["CredentialsProviderError", "ERR_INVALID_URL", "ERR_INVALID_PROTOCOL"],
};

const reasonByCode = new Map(
  Object.entries(codesByReason).flatMap(([reason, codes]) =>
    codes.map((code) => [code.toLowerCase(), reason as FailureCause] as const),
  ),
);

/**
 * Reasons that some vendors report only in the error text. Their code is then a general one, and their status is 400.
 */
const reasonByWords: readonly (readonly [RegExp, FailureCause])[] = [
  [
    /prompt is too long|input is too long|context (?:length|window)|maximum context|max_new_tokens/i,
    "context_too_long",
  ],
  [/credit balance/i, "auth_or_quota"],
  [/on-demand throughput|inference profile/i, "misconfigured"],
  [/model identifier is invalid/i, "not_found"],
];

const reasonByStatus: Record<number, FailureCause> = {
  401: "auth_or_quota",
  402: "auth_or_quota",
  403: "auth_or_quota",
  404: "not_found",
  408: "timeout",
  409: "upstream_error",
  410: "not_found",
  413: "context_too_long",
  429: "rate_limited",
  503: "overloaded",
  529: "overloaded",
};

/** Error codes of a vendor that refuses the content of the request. */
const contentFilterCodes = ["content_filter", "content_policy_violation"];

/**
 * Whether the vendor refused the request because of its content. The relay treats this as a finish reason, not as a
 * failure.
 */
export function isContentFilter(error: unknown): boolean {
  const { codes, words } = factsOf(error);
  return codes.some((code) => contentFilterCodes.includes(code)) || /content filtering policy/i.test(words);
}

/**
 * Converts an error of an SDK. The message has the vendor's status, codes and request id, but not the vendor's error
 * text.
 *
 * @param isOpen whether the response had begun
 */
export function toProviderFailure(provider: string, error: unknown, isOpen: boolean): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  const facts = factsOf(error);
  const details = [facts.status, ...facts.codes, facts.header("request-id") ?? facts.header("x-request-id")];
  const message = `${provider}: ${details.filter((detail) => detail !== undefined).join(" ") || "failed"}`;
  return new ProviderFailure(reasonOf(facts, isOpen), message, { retryAfterMs: retryAfterMs(facts) });
}

function reasonOf({ status, codes, words }: ErrorFacts, isOpen: boolean): FailureCause {
  // In a stream, AWS writes the first letter of a code in lower case.
  const [byCode] = codes.flatMap((code) => reasonByCode.get(code.toLowerCase()) ?? []);
  if (byCode) return byCode;
  const isInvalid = codes.includes("invalid_request_error") || codes.includes("ValidationException");
  const effective = status ?? (isInvalid ? 400 : undefined);
  if (effective === undefined) return isOpen ? "broken" : "upstream_error";
  const byWords = effective < 500 ? reasonByWords.find(([pattern]) => pattern.test(words))?.[1] : undefined;
  return byWords ?? reasonByStatus[effective] ?? (effective >= 500 ? "upstream_error" : "invalid_request");
}

/**
 * Reads the facts from an error of `openai`, `@anthropic-ai/sdk`, the AWS SDK or `fetch`. These errors have no common
 * class.
 */
function factsOf(error: unknown): ErrorFacts {
  const chain = causes(error);
  const find = (read: (part: Part) => unknown) =>
    chain.map(read).filter((value) => value !== undefined && value !== null);
  const codes = find((part) => part.code).concat(
    find((part) => part.type),
    find((part) => part.name),
  );
  const [status] = [...find((part) => part.status ?? part.$metadata?.httpStatusCode), ...codes.map(Number)].filter(
    isStatus,
  );
  const [headers] = find((part) => part.headers ?? part.$response?.headers);
  return {
    status,
    codes: [...new Set(codes.filter(isCode))],
    words: find((part) => part.message).join("\n"),
    header: (name) => readHeader(headers, name),
  };
}

/** Fields of the errors of all SDKs. */
interface Part {
  status?: unknown;
  code?: unknown;
  type?: unknown;
  name?: unknown;
  message?: unknown;
  headers?: unknown;
  cause?: unknown;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: unknown };
}

/** The error and its causes, at most five. */
function causes(error: unknown): Part[] {
  const chain: Part[] = [];
  for (let part = error; part && typeof part === "object" && chain.length < 5; part = (part as Part).cause) {
    chain.push(part);
  }
  return chain;
}

function readHeader(headers: unknown, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  return (headers as Record<string, string> | undefined)?.[name];
}

/** Wait that the vendor requests: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date. */
function retryAfterMs({ header }: ErrorFacts): number | undefined {
  const ms = Number(header("retry-after-ms") || Number.NaN);
  const after = header("retry-after") || "";
  const wait = [ms, Number(after || Number.NaN) * 1_000, Date.parse(after) - Date.now()].find(Number.isFinite);
  return wait === undefined ? undefined : Math.max(0, Math.round(wait));
}

function isStatus(value: unknown): value is number {
  return typeof value === "number" && value >= 400 && value < 600;
}

/** Whether the value is a code, not a sentence that could quote the prompt. */
function isCode(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z][\w.-]{1,63}$/.test(value) && !/^(?:Type)?Error$/.test(value);
}
