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

/** Hours for the image, the base's 15 GB, the merge, and the upload of 15 GB. */
const FIXED_HOURS = 0.4;
/** 2,000 conversations of 414 bytes take about 1.25 hours with three epochs on an RTX 4090. */
const HOURS_PER_BYTE_AND_EPOCH = 1.25 / (2_000 * 414 * 3);

/**
 * GPU types in the given order, without types that RunPod does not know or that are out of stock.
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
export function estimate({ id, price = 0 }: GpuOffer, bytes: number, epochs: number, maxHours: number): Estimate {
  const hours = FIXED_HOURS + bytes * epochs * HOURS_PER_BYTE_AND_EPOCH;
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

/** Text of an estimate for the operator. */
export function describeEstimate({ gpuType, dollarsPerHour, hours, dollars, dollarsAtMost }: Estimate): string {
  const price = `${gpuType} at $${dollarsPerHour.toFixed(2)}/h`;
  return `about ${hours} h and $${dollars.toFixed(2)} on one ${price}, at most $${dollarsAtMost.toFixed(2)}`;
}
