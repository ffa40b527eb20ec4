import { counted } from "../../cli/counted";
import { type Model, models } from "../../contract/plan";
import { alarmCodes } from "../../functions/core/alarmCodes";
import { billedMetrics } from "../../functions/core/metrics";
import { modelFacts } from "../../images/models";
import type { PlainConfig } from "../../infra/configSchema";
import { type ByCase, byCase, type Line } from "./estimate";
import { awsPrices } from "./prices/aws";
import type { FunctionFacts, ProgramFacts } from "./resources";
import { assumptions, DAYS, relayConcurrency, SECONDS, type Traffic } from "./traffic";

/** Time of a scheduled run, except in the worst case: its timeout. */
const SCHEDULED_SECONDS = 3;
/** Requests to DynamoDB of one chat: reservation, settlement, cooldowns, and one read per second for a cancellation. */
const CHAT_REQUESTS = { writes: 3, reads: 10 };
/** Requests to DynamoDB of one call of the API. */
const CALL_REQUESTS = { writes: 1, reads: 2 };
/** Rows of customers and counters. */
const TABLE_GB = 0.1;
const BYTES_PER_GB = 1_000_000_000;
/** Log of one run: Lambda's own lines and ours. The API adds one line. */
const LOG_BYTES = { run: 1_000, apiLine: 300 };
/** Bytes to the browser: a streamed reply of 120 characters in pieces, each with its frame, and a response of the API. */
const SENT_BYTES = { reply: 10_000, call: 2_000 };
/** Reads of one secret: a running instance of a function reads it again after five minutes. */
const SECRET_READS = SECONDS / 300;
/** Alarms that send a message in a month. */
const MESSAGES = { low: 0, expected: 10 };

interface AwsArgs {
  config: Pick<PlainConfig, "operations" | "relay" | "throttle" | Model>;
  program: ProgramFacts;
  traffic: Traffic;
}

/** Lines of the AWS bill. */
export function awsLines(args: AwsArgs): Line[] {
  const { config, program, traffic } = args;
  const { cloudwatch, cognito, httpApi, kms, scheduler, sns } = awsPrices;
  const calls = apiCalls(args);
  const runs = lambdaRuns(program.functions, traffic, calls);
  // `CandidateShare` has no value for a model without a candidate.
  const usual = billedMetrics(config.operations.metrics) - models.filter((model) => !config[model].candidate).length;
  const metrics = byCase((of) => usual + (of === "worst" ? Object.keys(alarmCodes).length : 0));
  const scheduled = program.functions.reduce((sum, { runs }) => sum + (runs ?? 0), 0);
  const messages = { ...MESSAGES, worst: program.alarms * DAYS };
  const instances = byCase((of) => (of === "worst" ? relayConcurrency(config) : 1));
  const fixed = (usd: number) => byCase(() => usd);
  const line = (item: string, basis: string, usd: ByCase<number>): Line => ({ group: "AWS", item, basis, usd });
  return [
    line(
      "Lambda",
      counted(program.functions.length, "function"),
      byCase((of) => sum(runs.map(({ usd }) => usd[of]))),
    ),
    line(
      "API Gateway",
      counted(calls.expected, "request"),
      byCase((of) => calls[of] * httpApi.request),
    ),
    line(
      "DynamoDB",
      `${counted(program.tables, "table")}, ${program.backedUpTables} with backups`,
      databaseUsd(args, calls),
    ),
    line(
      "CloudWatch metrics",
      `${counted(metrics.expected, "custom metric")}, at most ${metrics.worst}`,
      byCase((of) => metrics[of] * cloudwatch.metricMonth),
    ),
    line(
      "CloudWatch alarms and dashboard",
      `${counted(program.alarms, "alarm")}, ${program.compositeAlarms} composite, ${counted(program.dashboards, "dashboard")}`,
      fixed(
        program.alarms * cloudwatch.alarmMonth +
          program.compositeAlarms * cloudwatch.compositeAlarmMonth +
          program.dashboards * cloudwatch.dashboardMonth,
      ),
    ),
    line(
      "CloudWatch logs",
      `${counted(program.logGroups, "group")}, ${counted(program.logRetentionDays, "day")}`,
      logUsd(program, runs, calls),
    ),
    line("Cognito", counted(traffic.customers, "monthly user"), fixed(traffic.customers * cognito.monthlyUser)),
    ...registryLines(args),
    transferLine(program, traffic, calls),
    ...cloudfrontLines(program, traffic),
    line(
      "SSM, KMS, Scheduler, SNS",
      [
        counted(program.secrets, "secret"),
        counted(scheduled, "scheduled run"),
        counted(program.alarmEmails, "address", "addresses"),
      ].join(", "),
      byCase(
        (of) =>
          program.secrets * SECRET_READS * instances[of] * kms.request +
          scheduled * scheduler.run +
          program.alarmEmails * messages[of] * sns.email,
      ),
    ),
  ];
}

/** Requests to the API in a month. In the worst case, every route is always at its limit. */
function apiCalls({ config: { throttle }, program: { routes }, traffic }: AwsArgs): ByCase<number> {
  const usual = sum(Object.values(traffic.visits)) * assumptions.apiCallsPerVisit;
  const own = [throttle.guest, throttle.webhook].map(({ ratePerSecond }) => ratePerSecond);
  const most = (sum(own) + (routes.all - routes.ownLimits) * throttle.ratePerSecond) * SECONDS;
  return { low: usual, expected: usual, worst: Math.max(usual, most) };
}

interface Runs {
  count: ByCase<number>;
  usd: ByCase<number>;
}

/**
 * Runs and costs of the functions. The calls of the API are one entry: each is priced with the largest memory of the API's
 * functions.
 */
function lambdaRuns(functions: FunctionFacts[], traffic: Traffic, calls: ByCase<number>): Runs[] {
  const relay = functions.find(({ name }) => name === "relay");
  const scheduled = functions.filter(({ runs }) => runs !== undefined);
  const routed = functions.filter((one) => one !== relay && !scheduled.includes(one));
  const memoryGb = Math.max(0, ...routed.map((one) => one.memoryGb));
  return [
    ...(relay
      ? [
          lambda(
            relay.memoryGb,
            traffic.relayRequests,
            // The chats fill the time. Rejected requests between them take almost none.
            byCase((of) => {
              const requests = traffic.relayRequests[of];
              return requests > 0 ? (traffic.relayChats[of] * assumptions.relaySecondsPerChat) / requests : 0;
            }),
          ),
        ]
      : []),
    lambda(
      memoryGb,
      calls,
      byCase(() => assumptions.apiSecondsPerCall),
    ),
    ...scheduled.map(({ memoryGb, timeoutSeconds, runs = 0 }) =>
      lambda(
        memoryGb,
        byCase(() => runs),
        byCase((of) => (of === "worst" ? timeoutSeconds : SCHEDULED_SECONDS)),
      ),
    ),
  ];
}

function lambda(memoryGb: number, runs: ByCase<number>, seconds: ByCase<number>): Runs {
  const { gbSecondArm, request } = awsPrices.lambda;
  return { count: runs, usd: byCase((of) => runs[of] * (seconds[of] * memoryGb * gbSecondArm + request)) };
}

function databaseUsd({ program, traffic }: AwsArgs, calls: ByCase<number>): ByCase<number> {
  const { write, read, gbMonth, backupGbMonth } = awsPrices.dynamodb;
  const requests = ({ writes, reads }: typeof CHAT_REQUESTS) => writes * write + reads * read;
  const storage = program.tables * TABLE_GB * gbMonth + program.backedUpTables * TABLE_GB * backupGbMonth;
  return byCase(
    (of) => traffic.relayChats[of] * requests(CHAT_REQUESTS) + calls[of] * requests(CALL_REQUESTS) + storage,
  );
}

function logUsd(program: ProgramFacts, runs: Runs[], calls: ByCase<number>): ByCase<number> {
  const { logGb, storedLogGbMonth } = awsPrices.cloudwatch;
  const months = program.logRetentionDays / DAYS;
  return byCase((of) => {
    const bytes = sum(runs.map(({ count }) => count[of])) * LOG_BYTES.run + calls[of] * LOG_BYTES.apiLine;
    return (bytes / BYTES_PER_GB) * (logGb + months * storedLogGbMonth);
  });
}

/** vLLM's part of a compressed image. The images of a model share these layers. */
const ENGINE_GB = 12;

/** Size of a model's weights in its image. A third of the container disk is about the size of the compressed image. */
function weightsGb(model: Model, { weights }: PlainConfig[Model]): number {
  return weights === "cached" ? 0 : Math.max(0, modelFacts[model].containerDiskInGb / 3 - ENGINE_GB);
}

/** Images in ECR, and their transfer to RunPod's hosts. Images of another registry cost nothing at AWS. */
function registryLines({ config, program }: AwsArgs): Line[] {
  const built = models.filter((model) => program.repositories.includes(model));
  if (built.length === 0) return [];
  const { imagesPerModel, pullsPerModel } = assumptions;
  const stored = byCase((of) =>
    sum(
      built.map((model) => {
        const images = imagesPerModel[of] + (config[model].candidate ? 1 : 0);
        return ENGINE_GB + images * weightsGb(model, config[model]);
      }),
    ),
  );
  const sent = byCase((of) =>
    sum(
      built.map((model) => {
        const pulls = { ...pullsPerModel, worst: config[model].workersMax * DAYS }[of];
        return pulls * (ENGINE_GB + weightsGb(model, config[model]));
      }),
    ),
  );
  const more = built.map(
    (model) => `$${(weightsGb(model, config[model]) * awsPrices.ecr.gbMonth).toFixed(2)} (${model})`,
  );
  return [
    {
      group: "AWS",
      item: "ECR, stored images",
      basis: `${built.join(", ")}: ${Math.round(stored.expected)} GB. One more image: ${more.join(", ")}`,
      usd: byCase((of) => stored[of] * awsPrices.ecr.gbMonth),
    },
    {
      group: "AWS",
      item: "ECR, pulls of RunPod's hosts",
      basis: `${built.join(", ")}: ${Math.round(sent.expected)} GB`,
      usd: byCase((of) => sent[of] * awsPrices.transfer.gbOut),
    },
  ];
}

/** Responses to browsers. The transfer from the relay to CloudFront costs nothing. */
function transferLine({ distributions }: ProgramFacts, { relayChats }: Traffic, calls: ByCase<number>): Line {
  const gb = byCase((of) => {
    const replies = distributions === 0 ? relayChats[of] : 0;
    return (replies * SENT_BYTES.reply + calls[of] * SENT_BYTES.call) / BYTES_PER_GB;
  });
  return {
    group: "AWS",
    item: "Data transfer",
    basis: `${gb.expected.toFixed(1)} GB to browsers`,
    usd: byCase((of) => gb[of] * awsPrices.transfer.gbOut),
  };
}

/** Requests to the relay through CloudFront. A chat is about two, because browsers ask for permission (CORS) first. */
function cloudfrontLines({ distributions }: ProgramFacts, { relayChats, relayRequests }: Traffic): Line[] {
  if (distributions === 0) return [];
  const { httpsRequest, gbOut } = awsPrices.cloudfront;
  const replyUsd = (SENT_BYTES.reply / BYTES_PER_GB) * gbOut;
  return [
    {
      group: "AWS",
      item: "CloudFront",
      basis: counted(relayChats.expected, "chat"),
      usd: byCase((of) => (relayChats[of] + relayRequests[of]) * httpsRequest + relayChats[of] * replyUsd),
    },
  ];
}

function sum(numbers: number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
