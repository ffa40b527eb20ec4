import { createHmac } from "node:crypto";
import * as z from "zod/mini";
import type { Model } from "../../../contract/plan";

const share = () => z.number().check(z.gte(0), z.lte(100));

/** RunPod's id of an endpoint. A call with the account's key uses no other text of the parameter in its URL. */
const ENDPOINT_ID = /^[\w-]+$/;

/** A share that replaces the share of the configuration, without a deployment. */
const Override = z.object({
  share: share(),
  /** Whether the testers get the released model too. */
  isAborted: z._default(z.boolean(), false),
  /** Share of the configuration that is replaced. Another share in the configuration ends the override. */
  replaces: share(),
  by: z.enum(["operator", "verdict"]),
  /** One sentence for the operator. */
  reason: z.string(),
  at: z.iso.datetime(),
});

/**
 * A retrained model that answers some customers while the released model answers the others. It is stored as JSON in an
 * SSM parameter. So a new share changes no function. The program writes the first four fields, and the running stack
 * writes the other fields.
 */
export const Candidate = z.object({
  /** Image of the candidate: its tag or its whole URI. A new image chooses other customers. */
  image: z.string(),
  /** Base URL of the job API of the candidate's endpoint. The functions use only the endpoint's id of it. */
  url: z.string().check(z.refine((url) => ENDPOINT_ID.test(endpointIdOf(url)), "must end with an endpoint's id")),
  /** Percent of the customers and guests that the candidate answers. */
  share: share(),
  /** User ids that the candidate always answers. */
  testers: z.array(z.string()),
  /** Whether a worker of the candidate has answered. Before, only the testers get the candidate. */
  isReady: z._default(z.boolean(), false),
  override: z.optional(Override),
});
export type Candidate = z.infer<typeof Candidate>;

/** Fields of a candidate that the configuration sets. */
export type CandidateSource = Pick<Candidate, "image" | "url" | "share" | "testers">;

/** Reads a model's candidate. Returns undefined for a model without a candidate, and after a failed read. Never rejects. */
export type FindCandidate = (model: Model) => Promise<Candidate | undefined>;

/**
 * Whether the candidate answers a user's chats: the user is a tester or belongs to the share. The result depends only
 * on the arguments, so every function chooses the same users. A larger share keeps all users of a smaller share.
 *
 * @param userId Cognito `sub`, or `guest:<uuid>`
 */
export function isChosen(
  model: Model,
  candidate: Pick<Candidate, "image" | "share" | "testers" | "isReady" | "override">,
  userId: string,
): boolean {
  const isInShare = percentileOf(`${model}/${candidate.image}`, userId) < audienceOf(candidate).share;
  return isTester(candidate, userId) || isInShare;
}

/**
 * Whether a user is one of the testers that a candidate answers now. Of a tester's chats, only replies that break the
 * contract count for the verdict, because testers try to make the candidate fail.
 */
export function isTester(
  candidate: Pick<Candidate, "share" | "testers" | "isReady" | "override">,
  userId: string,
): boolean {
  return audienceOf(candidate).testers.includes(userId);
}

/** Users that a candidate answers now: its share of all users in percent, and its testers. */
export function audienceOf({
  share,
  testers,
  isReady,
  override,
}: Pick<Candidate, "share" | "testers" | "isReady" | "override">): Pick<Candidate, "share" | "testers"> {
  return { share: isReady ? (override?.share ?? share) : 0, testers: override?.isAborted ? [] : testers };
}

/**
 * Combines a new configuration with the values that the running stack has written for the same candidate. A changed
 * share in the configuration ends an override. A changed list of testers does not end it, so that a rollback stays.
 *
 * @param live the candidate in the parameter. Undefined when the parameter does not exist
 */
export function keepLive(source: CandidateSource, live: Candidate | undefined): Candidate {
  if (live?.image !== source.image || live.url !== source.url) return { ...source, isReady: false };
  const { isReady, override } = live;
  return { ...source, isReady, ...(override?.replaces === source.share && { override }) };
}

/** RunPod's id of an endpoint, from the base URL of its job API. */
export function endpointIdOf(url: string): string {
  return url.replace(/\/+$/, "").split("/").at(-1) ?? "";
}

/**
 * Base URL of the job API of a candidate's endpoint, at the host of the released endpoint. The host in the parameter is
 * ignored, because the relay sends the account's key to this URL.
 */
export function candidateUrlOf(releasedUrl: string, { url }: Pick<Candidate, "url">): string {
  return releasedUrl.replace(/[^/]+\/*$/, endpointIdOf(url));
}

/** Place of a user among all users, 0 to below 100. The places of two seeds are independent. */
function percentileOf(seed: string, userId: string): number {
  const first = createHmac("sha256", seed).update(userId).digest().readUInt32BE(0);
  return (first / 2 ** 32) * 100;
}
