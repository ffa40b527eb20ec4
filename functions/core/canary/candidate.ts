import { createHmac } from "node:crypto";
import * as z from "zod/mini";
import type { Model } from "../../../contract/plan";

/**
 * A retrained model that answers some customers, next to the released model. An SSM parameter contains it as JSON, so that
 * another share changes no function.
 */
export const Candidate = z.object({
  /** Image of the candidate: its tag or its whole URI. A new image chooses other customers. */
  image: z.string(),
  /** Base URL of the job API of the candidate's endpoint. */
  url: z.string(),
  /** Percent of the customers and guests that the candidate answers. */
  share: z.number().check(z.gte(0), z.lte(100)),
  /** User ids that the candidate always answers. */
  testers: z.array(z.string()),
});
export type Candidate = z.infer<typeof Candidate>;

/** Reads a model's candidate. Returns undefined when there is none, or when it cannot be read. Never rejects. */
export type FindCandidate = (model: Model) => Promise<Candidate | undefined>;

/**
 * Whether the candidate answers a user's chats. The answer depends only on the arguments, so that it is the same in each
 * function. A larger share never returns a user to the released model.
 *
 * @param userId Cognito `sub`, or `guest:<uuid>`
 */
export function isChosen(
  model: Model,
  { image, share, testers }: Pick<Candidate, "image" | "share" | "testers">,
  userId: string,
): boolean {
  return testers.includes(userId) || percentileOf(`${model}/${image}`, userId) < share;
}

/** RunPod's id of an endpoint, from the base URL of its job API. */
export function endpointIdOf(url: string): string {
  return url.replace(/\/+$/, "").split("/").at(-1) ?? "";
}

/** Place of a user among all users, 0 to below 100. The places of two seeds are independent. */
function percentileOf(seed: string, userId: string): number {
  const first = createHmac("sha256", seed).update(userId).digest().readUInt32BE(0);
  return (first / 2 ** 32) * 100;
}
