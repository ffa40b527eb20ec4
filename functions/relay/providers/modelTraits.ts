import type { ProviderChat } from "../../core/relay/provider";

/** Sampling parameters that are set. */
type Sampling = { [Name in keyof ProviderChat["sampling"]]: number };

/** Properties of a model family. They decide which parameters a request may contain. */
interface ModelTraits {
  /** Sampling parameters that the models accept. A request with any other sampling parameter is refused. */
  sampling: readonly (keyof Sampling)[];
  /** Sampling parameters that the models accept when `effort` is `none`. Default: those in `sampling`. */
  samplingWithoutThinking?: readonly (keyof Sampling)[];
  /** Whether the models think before they answer, unless `effort` is `none`. */
  thinks: boolean;
  /** Whether Bedrock accepts a cache point in the system prompt. */
  cachePoint?: boolean;
}

const all = ["temperature", "top_p", "seed"] as const;

/** Families by the beginning of the model's name. The first match counts. */
const families: readonly (readonly [RegExp, ModelTraits])[] = [
  [/^claude-(?:opus|sonnet|haiku)-4-[56]\b/, { sampling: ["temperature"], thinks: false, cachePoint: true }],
  [/^claude-/, { sampling: [], thinks: true, cachePoint: true }],
  [/^nova-/, { sampling: ["temperature", "top_p"], thinks: false, cachePoint: true }],
  [/^gpt-oss|^deepseek-r|^qwen3(?!.*instruct)/, { sampling: all, thinks: true }],
  [/^(?:qwen|llama|meta-llama|mistral|mixtral|gemma|deepseek|phi-)/, { sampling: all, thinks: false }],
  [/^(?:gpt-[34]|chatgpt-4)/, { sampling: all, thinks: false }],
  [/^(?:gpt-|o\d)/, { sampling: [], samplingWithoutThinking: ["temperature", "top_p"], thinks: true }],
];

/** An unknown model gets the fewest parameters. */
const unknown: ModelTraits = { sampling: [], thinks: false };

/**
 * Looks up a model by name.
 *
 * @param model name at the vendor: `claude-sonnet-5-5`, `openai/gpt-oss-120b`, `jp.anthropic.claude-sonnet-5-5`
 */
function modelTraits(model: string): ModelTraits {
  const name = model
    .replace(/^.*\//, "")
    .replace(/^(?:.*\.)?(?:anthropic|amazon|meta|mistral|openai|deepseek|qwen)\./, "");
  return families.find(([prefix]) => prefix.test(name.toLowerCase()))?.[1] ?? unknown;
}

/** Whether Bedrock accepts a cache point in the model's system prompt. */
export function takesCachePoint(model: string): boolean {
  return modelTraits(model).cachePoint === true;
}

/** Keeps the sampling parameters that the model accepts at this effort. */
export function acceptedSampling(
  model: string,
  effort: string | undefined,
  sampling: ProviderChat["sampling"],
): Sampling {
  const traits = modelTraits(model);
  const names = (effort === "none" && traits.samplingWithoutThinking) || traits.sampling;
  const set = names.filter((name) => sampling[name] !== undefined);
  return Object.fromEntries(set.map((name) => [name, sampling[name]]));
}

/** Thinking tokens by effort. Vendors count thinking tokens toward the maximum of the reply. */
const thoughtTokens: Record<string, number> = {
  none: 0,
  minimal: 512,
  low: 1_024,
  medium: 2_048,
  high: 4_096,
  xhigh: 8_192,
  max: 8_192,
};

/**
 * Number of tokens that a model may use for thinking, in addition to the reply. Without these tokens, thinking would
 * use up the maximum of a short reply, and the reply would have no text.
 *
 * @param effort configured effort; undefined leaves the choice to the vendor
 */
export function thinkingTokens(model: string, effort: string | undefined): number {
  return modelTraits(model).thinks ? (thoughtTokens[effort ?? "medium"] ?? 0) : 0;
}
