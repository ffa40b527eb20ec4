import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from "jose";
import type { Session } from "../../client";
import { Model } from "../../contract/plan";
import { signTicket, TICKET_SECONDS } from "../../functions/core/ticket";
import { START_STACK, stackNames } from "../../names";
import { localCredentials } from "../cloud/awsEndpoints";
import type { LocalCloud } from "../cloud/cloud";

/** Replaces a session's ticket, and the `Authorization` header from which the relay reads the ticket. */
export function withTicket(session: Session, ticket: string): Session {
  const { inference } = session;
  if (inference.kind !== "relay") return { ...session, ticket };
  return { ...session, ticket, inference: { ...inference, authorization: `Bearer ${ticket}` } };
}

/**
 * Creates a ticket with a session's claims, signed with the stack's key.
 *
 * @param endpoint RunPod's id of the only endpoint that accepts the ticket. Default: every endpoint of the model
 */
export async function validTicket(
  cloud: LocalCloud,
  session: Omit<Session, "ticket">,
  endpoint?: string,
): Promise<string> {
  return sign(session, await readSigningKey(cloud), new Date(), endpoint);
}

/** Creates a ticket with a session's claims that expired some minutes ago. */
export async function expiredTicket(cloud: LocalCloud, session: Session): Promise<string> {
  const signedAt = new Date(Date.now() - 10 * TICKET_SECONDS * 1000);
  return sign(session, await readSigningKey(cloud), signedAt);
}

/** Creates a ticket with a session's claims and `kid`, signed with a key other than the stack's. */
export async function forgedTicket(session: Session): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { kid = "" } = decodeProtectedHeader(session.ticket);
  return sign(session, { ...(await exportJWK(privateKey)), kid }, new Date());
}

async function readSigningKey(cloud: LocalCloud): Promise<JWK> {
  const ssm = new SSMClient({
    endpoint: cloud.aws.endpoints.ssm,
    region: cloud.aws.account.region,
    credentials: localCredentials,
  });
  const name = stackNames(START_STACK).parameters.ticketSigningKey;
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: name, WithDecryption: true }));
  return JSON.parse(Parameter?.Value ?? "{}") as JWK;
}

async function sign(
  { user_id, plan, model, limits }: Omit<Session, "ticket">,
  key: JWK,
  signedAt: Date,
  endpoint?: string,
): Promise<string> {
  const iss = stackNames(START_STACK).owner;
  const grant = { iss, sub: user_id, aud: Model.parse(model), plan, limits, ...(endpoint && { endpoint }) };
  return (await signTicket(grant, key, signedAt)).ticket;
}
