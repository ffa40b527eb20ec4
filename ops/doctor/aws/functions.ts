import { CloudWatchClient, GetMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, type FilteredLogEvent, paginateFilterLogEvents } from "@aws-sdk/client-cloudwatch-logs";
import { GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { counted } from "../../../cli/counted";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain, logicalName } from "./stackResources";

const HOUR_MS = 3_600_000;
const PERIOD_SECONDS = 300;
const RECENT_MINUTES = 15;
/** Pages of a log that the doctor reads. AWS ends a page after one megabyte. */
const MAX_PAGES = 10;
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
  lastError: ErrorLine | undefined;
  /** Error lines of the last 15 minutes. A function also writes one for an error that it has answered, and for an alarm. */
  recent: ErrorLines;
}

interface ErrorLine {
  at: Date;
  text: string;
}

/** Error lines of a log. `isMore`: the log has more lines than the doctor reads. */
interface ErrorLines {
  count: number;
  isMore: boolean;
  last: ErrorLine | undefined;
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
    const last = (line: ErrorLine | undefined) =>
      line ? `. The last one, ${ago(line.at, now)}: ${short(line.text)}` : "";
    const todo = `Read its log: aws logs tail ${one.logGroup} --since 1d --filter-pattern '{ $.level = "ERROR" }'`;
    if (one.errors > 0) {
      const times = one.errors === 1 ? "failed once" : `failed ${one.errors} times`;
      return [warning(label, `${times} in 24 hours${last(one.lastError)}`, todo)];
    }
    if (one.recent.count === 0) return [];
    const { count, isMore } = one.recent;
    const lines = count === 1 ? "one error line" : `${isMore ? "more than " : ""}${count} error lines`;
    return [warning(label, `wrote ${lines} in ${RECENT_MINUTES} minutes${last(one.recent.last)}`, todo)];
  });
  if (problems.length > 0) return problems;
  const seen = `${functions.length} functions, no failed invocation in 24 hours, no error line in ${RECENT_MINUTES} minutes`;
  return [ok("functions", seen)];
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
        lastError: last && (await readErrorLines(logGroup, aroundPeriod(last), aws)).last,
        recent: await readErrorLines(
          logGroup,
          { from: now.getTime() - RECENT_MINUTES * 60_000, to: now.getTime() },
          aws,
        ),
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

/** Time, in milliseconds since the epoch, in which the invocations of a period have written their lines. */
interface Span {
  from: number;
  to: number;
}

/** An invocation of a period may have started before and ended after. */
function aroundPeriod(start: Date): Span {
  const periodMs = PERIOD_SECONDS * 1_000;
  return { from: start.getTime() - periodMs, to: start.getTime() + 2 * periodMs };
}

/** Reads the error lines of a log, up to a limit. */
async function readErrorLines(logGroupName: string, { from, to }: Span, aws: Aws): Promise<ErrorLines> {
  const client = new CloudWatchLogsClient(awsClient("inspection", aws));
  const request = { logGroupName, filterPattern: '{ $.level = "ERROR" }', startTime: from, endTime: to };
  let count = 0;
  let pages = 0;
  let last: FilteredLogEvent | undefined;
  // A page without lines may come before pages with lines.
  for await (const { events = [], nextToken } of paginateFilterLogEvents({ client }, request)) {
    count += events.length;
    last = events.at(-1) ?? last;
    pages++;
    if (pages === MAX_PAGES) return { count, isMore: nextToken !== undefined, last: lineOf(last) };
  }
  return { count, isMore: false, last: lineOf(last) };
}

function lineOf(event: FilteredLogEvent | undefined): ErrorLine | undefined {
  return event && { at: new Date(event.timestamp ?? 0), text: messageIn(event.message ?? "") };
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
  return `${minutes < 120 ? counted(minutes, "minute") : counted(minutes / 60, "hour")} ago`;
}
