import type * as pulumi from "@pulumi/pulumi";
import { errorCodes } from "../contract/errors";
import { stackNames } from "../names";
import type { Functions } from "./alarmResources";
import * as aws from "./aws";
import type { Config } from "./config";

interface LogQueriesArgs {
  config: Pick<Config, "stack">;
  functions: Functions;
}

const fields = "fields @timestamp, @log, message.code, message.cause, message.correlation, message.chat";
const newest = "sort @timestamp desc | limit 200";

/**
 * Text of the saved queries of CloudWatch Logs Insights, by name: one per error code, one of all alarms, one of all
 * lines of a session, and one of the changes of candidates.
 */
const logQueries: Record<string, string> = {
  ...Object.fromEntries(
    Object.keys(errorCodes).map((code) => [
      `errors/${code}`,
      `${fields} | filter message.code = "${code}" | ${newest}`,
    ]),
  ),
  alarms: `fields @timestamp, @log, @message | filter ispresent(message.alarm) | ${newest}`,
  session: `fields @timestamp, @log, @message | filter message.correlation = "<correlation id>" | ${newest}`,
  candidates: `fields @timestamp, @log, @message | filter ispresent(message.candidate) | ${newest}`,
};

/** Creates the saved queries over the logs of all functions. */
export function createLogQueries({ config, functions }: LogQueriesArgs, child: pulumi.CustomResourceOptions): void {
  const logGroupNames = Object.values(functions).map(({ log }) => log.name);
  for (const [name, queryString] of Object.entries(logQueries)) {
    // Slashes make folders in CloudWatch's console.
    const path = `${stackNames(config.stack).owner}/${name}`;
    new aws.cloudwatch.QueryDefinition(
      `query-${name.replace("/", "-")}`,
      { name: path, logGroupNames, queryString },
      child,
    );
  }
}
