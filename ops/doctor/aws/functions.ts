import { CloudWatchClient, GetMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, type FilteredLogEvent, paginateFilterLogEvents } from "@aws-sdk/client-cloudwatch-logs";
import { GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain, logicalName } from "./stackResources";

const HOUR_MS = 3_600_000;
const PERIOD_SECONDS = 300;
/** Length of a log line in the report. */
const MAX_CHARS = 200;

/** Facts about one function. */
export interface FunctionFacts {
  /** Lambda's name. */
  name: string;
  /** Logical name. */
  label: string;
  /** `State` of Lambda. */
  state: string;
  /** `LastUpdateStatus` of Lambda. */
  update: string;
  logGroup: string;
  /** Failed invocations in the last 24 hours: errors that the code did not catch, and timeouts. */
  errors: number;
  /** Last error line of its log. Undefined when the log has none. */
  lastError: { at: Date; text: string } | undefined;
}

/** Checks that every function can run and did not fail. One line per function with a problem. */
export function judgeFunctions(functions: FunctionFacts[], now: Date): Check[] {
  if (functions.length === 0) return [failed("functions", "AWS has no function with the stack's tags", createAgain)];
  const problems = functions.flatMap((one) => {
    const label = `function ${one.label}`;
    if (one.state === "Failed" || one.update === "Failed") {
      const todo = `Read the reason: aws lambda get-function-configuration --function-name ${one.name}. Then run "pulumi up".`;
      return [failed(label, `its state is ${one.state}, its last update ${one.update}`, todo)];
    }
    if (one.state === "Pending" || one.update === "InProgress")
      return [warning(label, "Lambda is updating it", "Check again in a minute.")];
    if (one.errors === 0) return [];
    const last = one.lastError ? `. The last one, ${ago(one.lastError.at, now)}: ${short(one.lastError.text)}` : "";
    const times = one.errors === 1 ? "failed once" : `failed ${one.errors} times`;
    const todo = `Read its log: aws logs tail ${one.logGroup} --since 1d --filter-pattern '{ $.level = "ERROR" }'`;
    return [warning(label, `${times} in 24 hours${last}`, todo)];
  });
  if (problems.length > 0) return problems;
  return [ok("functions", `${functions.length} functions, no failed invocation in 24 hours`)];
}

/** Reads the state, the failures and the last error of each function. */
export async function checkFunctions(names: string[], stack: string, aws: Aws, now = new Date()): Promise<Check[]> {
  if (names.length === 0) return judgeFunctions([], now);
  const lambda = new LambdaClient(awsClient("lambda", aws));
  const failures = await readFailures(names, aws, now);
  const functions = names.map(async (name): Promise<FunctionFacts[]> => {
    const { State, LastUpdateStatus, LoggingConfig } = await lambda
      .send(new GetFunctionConfigurationCommand({ FunctionName: name }))
      .catch((error: Error) => {
        // The tags of a deleted function stay for some time.
        if (error.name === "ResourceNotFoundException")
          return { State: undefined, LastUpdateStatus: "", LoggingConfig: {} };
        throw error;
      });
    if (State === undefined) return [];
    const logGroup = LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`;
    const { errors, last } = failures.get(name) ?? { errors: 0, last: undefined };
    return [
      {
        name,
        label: logicalName(name, stack),
        state: State,
        update: LastUpdateStatus ?? "",
        logGroup,
        errors,
        lastError: last && (await readLastError(logGroup, last, aws)),
      },
    ];
  });
  return judgeFunctions((await Promise.all(functions)).flat(), now);
}

/** Number of failed invocations of each function in the last 24 hours, and the start of the last period with one. */
async function readFailures(names: string[], aws: Aws, now: Date) {
  const client = new CloudWatchClient(awsClient("inspection", aws));
  const query = (name: string, index: number) => ({
    Id: `f${index}`,
    MetricStat: {
      Metric: { Namespace: "AWS/Lambda", MetricName: "Errors", Dimensions: [{ Name: "FunctionName", Value: name }] },
      Period: PERIOD_SECONDS,
      Stat: "Sum",
    },
  });
  const command = new GetMetricDataCommand({
    MetricDataQueries: names.map(query),
    StartTime: new Date(now.getTime() - 24 * HOUR_MS),
    EndTime: new Date(now.getTime() + PERIOD_SECONDS * 1_000),
    ScanBy: "TimestampDescending",
  });
  const { MetricDataResults = [] } = await client.send(command);
  return new Map(
    MetricDataResults.map(({ Id, Values = [], Timestamps = [] }) => {
      const errors = Values.reduce((sum, value) => sum + value, 0);
      return [names[Number(Id?.slice(1))], { errors, last: Timestamps[Values.findIndex((value) => value > 0)] }];
    }),
  );
}

/** Reads the last error line of a period. Its invocation may have started before and ended after. */
async function readLastError(logGroupName: string, period: Date, aws: Aws): Promise<FunctionFacts["lastError"]> {
  const client = new CloudWatchLogsClient(awsClient("inspection", aws));
  const request = {
    logGroupName,
    filterPattern: '{ $.level = "ERROR" }',
    startTime: period.getTime() - PERIOD_SECONDS * 1_000,
    endTime: period.getTime() + 2 * PERIOD_SECONDS * 1_000,
  };
  let last: FilteredLogEvent | undefined;
  // A page without lines may come before pages with lines.
  for await (const { events } of paginateFilterLogEvents({ client }, request)) last = events?.at(-1) ?? last;
  return last && { at: new Date(last.timestamp ?? 0), text: messageIn(last.message ?? "") };
}

/** Text of a line in Lambda's JSON log format: its message, without time and request id. */
function messageIn(line: string): string {
  try {
    const { message, errorType, errorMessage } = JSON.parse(line);
    if (errorType) return `${errorType}: ${errorMessage}`;
    return typeof message === "string" ? message : JSON.stringify(message ?? line);
  } catch {
    return line;
  }
}

function short(text: string): string {
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}

function ago(at: Date, now: Date): string {
  const minutes = Math.max(0, Math.round((now.getTime() - at.getTime()) / 60_000));
  return minutes < 120 ? `${minutes} minutes ago` : `${Math.round(minutes / 60)} hours ago`;
}
