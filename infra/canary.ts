import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../functions/canary";
import { stackNames } from "../names";
import type { AccountKeys } from "./accountKeys";
import type { AlarmNotifications } from "./alarmResources";
import { candidateSettings, readCandidates, writeCandidates } from "./candidate";
import type { Config } from "./config";
import type { Data } from "./data";
import { Lambda } from "./lambda";
import { Schedule } from "./schedule";
import { readSecrets } from "./secrets";
import type { Tickets } from "./tickets";

/** Arguments of `createCanary`. */
interface CanaryArgs {
  config: Pick<Config, "stack" | "runpodJobApiUrl">;
  /** Signs the tickets of the jobs that prove that a candidate answers. */
  tickets: Tickets;
  /** RunPod's key, with which the function reads the candidates' endpoints. */
  keys: AccountKeys;
  data: Data;
  /** Receives a message about each rollback. */
  notifications: AlarmNotifications;
}

/**
 * Creates the function that compares the models' candidates with the released models each minute. The function exists
 * even without a candidate. So a new candidate neither adds nor changes a function.
 */
export function createCanary(
  { config, tickets, keys, data, notifications }: CanaryArgs,
  child: pulumi.CustomResourceOptions,
): Lambda<Settings> {
  const canary = new Lambda<Settings>(
    "canary",
    {
      bundle: "canary",
      functionName: stackNames(config.stack).functions.canary,
      settings: pulumi.output({
        ...candidateSettings(config.stack),
        stack: config.stack,
        runpodJobApiUrl: config.runpodJobApiUrl,
        runpodKeyParameter: keys.runpod.name,
        ephemeralTable: data.ephemeral.name,
        ticketIssuer: tickets.issuer,
        signingKeyParameter: tickets.signingKey.name,
        topicArn: notifications.topicArn,
      }),
      statements: [
        ...readSecrets(keys.runpod, tickets.signingKey),
        readCandidates(config.stack, tickets.signingKey),
        writeCandidates(config.stack, tickets.signingKey),
        ...data.ephemeral.readCanary(),
        data.ephemeral.writeCanary(),
        { Action: ["sns:Publish"], Resource: [notifications.topicArn] },
      ],
      timeoutSeconds: 50,
    },
    child,
  );
  new Schedule("canary", { lambda: canary, every: "1 minute" }, child);
  return canary;
}
