import { createHmac } from "node:crypto";
import type { Model } from "../../../contract/plan";

/** A retrained model that answers some customers, next to the released model. */
export interface Candidate {
  /** Image of the candidate: its tag or its whole URI. A new image chooses other customers. */
  image: string;
  /** Percent of the customers and guests that the candidate answers, 0 to 100. */
  share: number;
  /** User ids that the candidate always answers. */
  testers: readonly string[];
}

/**
 * Whether the candidate answers a user's chats. The answer depends only on the arguments, so that it is the same in each
 * function. A larger share never returns a user to the released model.
 *
 * @param userId Cognito `sub`, or `guest:<uuid>`
 */
export function isChosen(model: Model, { image, share, testers }: Candidate, userId: string): boolean {
  return testers.includes(userId) || percentileOf(`${model}/${image}`, userId) < share;
}

/** Place of a user among all users, 0 to below 100. The places of two seeds are independent. */
function percentileOf(seed: string, userId: string): number {
  const first = createHmac("sha256", seed).update(userId).digest().readUInt32BE(0);
  return (first / 2 ** 32) * 100;
}
