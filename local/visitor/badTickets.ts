import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from "jose";
import type { Session } from "../../client";
import { Model } from "../../contract/plan";
import { signTicket, TICKET_SECONDS } from "../../functions/core/ticket";
import { START_STACK, stackNames } from "../../names";
import type { LocalCloud } from "../cloud/cloud";

/** A ticket with a session's claims and `kid`, signed with a foreign key. */
export async function forgedTicket(session: Session): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { kid = "" } = decodeProtectedHeader(session.ticket);
  return sign(session, { ...(await exportJWK(privateKey)), kid }, new Date());
}

/** A session's ticket signed with the real key and already expired. */
export async function expiredTicket(cloud: LocalCloud, session: Session): Promise<string> {
  const ssm = new SSMClient({
    endpoint: cloud.aws.endpoints.ssm,
    region: cloud.aws.account.region,
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
  });
  const name = stackNames(START_STACK).parameters.ticketSigningKey;
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name: name, WithDecryption: true }));
  const longAgo = new Date(Date.now() - 10 * TICKET_SECONDS * 1000);
  return sign(session, JSON.parse(Parameter?.Value ?? "{}") as JWK, longAgo);
}

async function sign({ user_id, plan, model, limits }: Session, key: JWK, now: Date): Promise<string> {
  const iss = stackNames(START_STACK).owner;
  return (await signTicket({ iss, sub: user_id, aud: Model.parse(model), plan, limits }, key, now)).ticket;
}
