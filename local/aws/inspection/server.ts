import { Hono } from "hono";
import type { Events } from "../../support/events";
import { type Listening, serve } from "../../support/http";
import { callingRole } from "../iam/callers";
import type { AwsAccount } from "../support/account";
import { signatureScope } from "../support/signature";
import { apisApi } from "./apis";
import { type BedrockOffer, bedrockApi } from "./bedrock";
import { logsApi } from "./logs";
import { type Monitored, monitoringApi } from "./monitoring";
import { queuesApi } from "./queues";
import { type SesAccount, sesApi } from "./ses";
import { subscriptionsApi } from "./subscriptions";
import { taggingApi } from "./tagging";

/** Dependencies of the APIs that an operator's command reads. */
export interface InspectionOptions {
  account: AwsAccount;
  events: Events;
  cloudwatch: Monitored;
  /** Messages of a queue by its ARN. */
  messages(arn: string): readonly unknown[];
  ses: SesAccount;
  bedrock: BedrockOffer;
}

/**
 * Serves the read operations of several AWS services on one free loopback port. The service's name in the request's
 * signature selects the API. The signature is not verified. A function's role may read nothing here.
 */
export function startInspection(options: InspectionOptions): Promise<Listening> {
  const { account, events, cloudwatch, messages, ses, bedrock } = options;
  const services: Record<string, Hono> = {
    tagging: taggingApi(account, events),
    monitoring: monitoringApi(account, cloudwatch, events),
    logs: logsApi(account, cloudwatch, events),
    sns: subscriptionsApi(account),
    sqs: queuesApi(account, messages, events),
    ses: sesApi(ses),
    apigateway: apisApi(account),
    bedrock: bedrockApi(bedrock),
  };
  const app = new Hono();
  app.all("*", (c) => {
    const authorization = c.req.header("authorization") ?? "";
    const name = signatureScope(authorization)?.service ?? "";
    const service = services[name];
    const role = callingRole(account, authorization);
    if (service && !role) return service.fetch(c.req.raw);
    c.header("x-amzn-errortype", role ? "AccessDeniedException" : "UnrecognizedClientException");
    const message = role
      ? `User: ${role} is not authorized to perform: ${name}:*`
      : "The request is not signed for a service of the local cloud.";
    return c.json({ message }, 403);
  });
  return serve("AWS inspection", 0, app.fetch);
}
