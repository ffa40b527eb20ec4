import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import type { JWK } from "jose";
import type { CandidateEvent } from "../contract/admin";
import { type Model, models } from "../contract/plan";
import { type WatchServices, watch } from "./canary/watch";
import { type CandidateSettings, createCandidateStore } from "./lib/candidates";
import { causesText, logCauses } from "./lib/causes";
import { awsClientLimits, dependency } from "./lib/dependency";
import { createParameters } from "./lib/parameters";
import { createCanaryStates } from "./tables/canaryStates";
import { createReplyCounts } from "./tables/replyCounts";

/** Settings of the canary function: names and URLs, never a secret. */
export interface Settings extends CandidateSettings {
  /** Name of the stack, for the command in a message. */
  stack: string;
  /** Base URL of RunPod's job API, with `/v2`. */
  runpodJobApiUrl: string;
  /** SSM parameter with the account's RunPod key. */
  runpodKeyParameter: string;
  ephemeralTable: string;
  ticketIssuer: string;
  /** SSM parameter with the private JWK that signs tickets. */
  signingKeyParameter: string;
  /** SNS topic of the alarms' messages. */
  topicArn: string;
}

/** Runs each minute. Looks at each model's candidate, and returns the customers of a bad one to the released model. */
export function create(settings: Settings): () => Promise<void> {
  const parameter = createParameters();
  const services: WatchServices = {
    candidates: createCandidateStore(settings),
    states: createCanaryStates(settings.ephemeralTable),
    counts: createReplyCounts(settings.ephemeralTable),
    runpodJobApiUrl: settings.runpodJobApiUrl,
    runpodKey: () => parameter(settings.runpodKeyParameter),
    ticketIssuer: settings.ticketIssuer,
    signingKey: async () => JSON.parse(await parameter(settings.signingKeyParameter)) as JWK,
    tell: createTeller(settings),
  };
  return logCauses(async () => {
    const now = new Date();
    const look = (model: Model) =>
      watch(model, services, now).catch((error: unknown) => {
        console.error({ candidate: model, run: "failed", cause: causesText(error) });
        throw error;
      });
    // An error ends the function. So the error of one model is thrown only after the other models are done.
    const ended = await Promise.allSettled(models.map(look));
    const failure = ended.find((one) => one.status === "rejected");
    if (failure) throw failure.reason;
  });
}

/** Creates the sender of messages about rollbacks. */
function createTeller({ stack, topicArn }: Settings): WatchServices["tell"] {
  const client = new SNSClient(awsClientLimits);
  return async (model, { image, event }) => {
    const message = {
      TopicArn: topicArn,
      Subject: `Rollback: the candidate of ${model}`,
      Message: text(model, image, event),
    };
    await dependency("SNS", client.send(new PublishCommand(message)));
  };

  function text(model: Model, image: string, { at, from, to, reason }: CandidateEvent): string {
    return [
      `The candidate ${image} of ${model} answers ${to}% of the customers since ${at}. Before, it answered ${from}%.`,
      `Reason: ${reason}`,
      "The released model answers these customers.",
      `First: npm run admin -- --stack ${stack} canary ${model} status`,
      "Runbook: docs/operations.md#a-candidate",
    ].join("\n");
  }
}
