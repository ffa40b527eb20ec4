import type { Model } from "../../../contract/plan";
import type { GpuOffer } from "../../../runpod/rest/pods";

/** Expected time and cost of a training. */
export interface Estimate {
  gpuType: string;
  dollarsPerHour: number;
  hours: number;
  dollars: number;
  /** Cost when the pod runs until the time limit. */
  dollarsAtMost: number;
}

/**
 * Hours of all steps except the training. The pull of the image (35 GB) takes up to an hour on a new host. The other
 * steps are the download of the weights (15 GB), the merge, the gates (vLLM serves two models one after the other) and
 * the upload (15 GB). Only the merge was measured: 30 s on an H100.
 */
const FIXED_HOURS = 1 + 0.75;
/** Tokens per second of a training with the batches of training.json, measured on an H100 with random weights. */
const H100_TOKENS_PER_SECOND: Readonly<Partial<Record<string, number>>> = { phi3: 3_529, mistral: 2_460 };
/** Tokens per second of a model that was not measured: the lowest measured speed. */
const UNKNOWN_TOKENS_PER_SECOND = 2_460;
/** Speed of the allowed GPU types relative to an H100. This value is an estimate from their bf16 matrix throughput. */
const SHARE_OF_H100 = 0.4;
/** The starter set has 414 bytes and 1,282 tokens per conversation. The persona takes most of the tokens. */
const BYTES_PER_CONVERSATION = 414;
const TOKENS_PER_CONVERSATION = 1_282;

/**
 * Returns the GPU types in the given order, without unknown types and without types that are out of stock.
 *
 * @throws Error when no type is left
 */
export function inStock(wanted: readonly string[], offers: readonly GpuOffer[]): GpuOffer[] {
  const found = wanted.flatMap((id) => offers.find((offer) => offer.id === id) ?? []);
  if (found.length === 0) throw new Error(`--gpu: RunPod has no GPU type ${wanted.join(", ")}`);
  const available = found.filter(({ availability }) => availability !== "NONE");
  if (available.length === 0) throw new Error(`RunPod has no free ${wanted.join(", ")} at present. Try again later`);
  return available;
}

/** Estimates a training on a GPU type. `bytes` is the size of the conversations. */
export function estimate(
  { id, price = 0 }: GpuOffer,
  { model, bytes, epochs, maxHours }: { model: Model; bytes: number; epochs: number; maxHours: number },
): Estimate {
  const tokensPerSecond = H100_TOKENS_PER_SECOND[model] ?? UNKNOWN_TOKENS_PER_SECOND;
  const tokens = (bytes / BYTES_PER_CONVERSATION) * TOKENS_PER_CONVERSATION * epochs;
  const hours = FIXED_HOURS + tokens / (tokensPerSecond * SHARE_OF_H100) / 3_600;
  return {
    gpuType: id,
    dollarsPerHour: price,
    hours: Math.round(hours * 100) / 100,
    dollars: cents(hours * price),
    dollarsAtMost: cents(maxHours * price),
  };
}

/** Rounds US dollars to cents. */
export function cents(dollars: number): number {
  return Math.round(dollars * 100) / 100;
}

/** Returns the text of an estimate for the operator. */
export function describeEstimate({ gpuType, dollarsPerHour, hours, dollars, dollarsAtMost }: Estimate): string {
  const price = `${gpuType} at $${dollarsPerHour.toFixed(2)}/h`;
  return `about ${hours} h and $${dollars.toFixed(2)} on one ${price}, at most $${dollarsAtMost.toFixed(2)}`;
}
