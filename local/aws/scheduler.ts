import { z } from "zod";
import type { Events } from "../support/events";
import { refusal } from "./iam/callers";
import { trusts } from "./iam/policy";
import { functionName, lambdaFunction } from "./lambda/resources";
import type { AwsAccount, AwsResource } from "./support/account";
import type { Effects, ResourceType } from "./support/resource";
import { Pauses, type Timers } from "./support/timers";
import { text } from "./support/values";

const TYPE = "aws:scheduler/schedule:Schedule";
const MINUTE_MS = 60_000;
const UNIT_MS = { minute: MINUTE_MS, hour: 60 * MINUTE_MS, day: 24 * 60 * MINUTE_MS } as const;
/** Longest delay between two delivery attempts of one event. */
const LONGEST_RETRY_MS = 5 * MINUTE_MS;

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.-]+$/, "The name must consist of alphanumerics, hyphens, and underscores.")
  .optional();

const target = z.looseObject({
  arn: z.string().regex(/^arn:[\w-]+:lambda:[^:]*:[^:]*:function:[\w-]+/, {
    error: "must be the ARN of a Lambda function: the local cloud supports no other target",
  }),
  roleArn: z.string().regex(/^arn:[\w-]+:iam::[^:]*:role\/./, "must be the ARN of a role"),
  input: z.string().min(1).refine(isJson, "must be valid JSON, because the target is a Lambda function").optional(),
  retryPolicy: z
    .looseObject({
      maximumEventAgeInSeconds: z.number().int().min(60).max(86_400).default(86_400),
      maximumRetryAttempts: z.number().int().min(0).max(185).default(185),
    })
    .prefault({}),
  deadLetterConfig: z
    .looseObject({ arn: z.string().regex(/^arn:[\w-]+:sqs:/, "must be the ARN of an SQS queue") })
    .optional(),
});

const noDate = z.undefined("is not supported by the local cloud: schedules run from creation to deletion");

/** aws:scheduler/schedule:Schedule, of EventBridge Scheduler. */
export const schedule: ResourceType = {
  type: TYPE,
  inputs: z
    .looseObject({
      name,
      namePrefix: name,
      groupName: z.string().min(1).max(64).optional(),
      scheduleExpression: z
        .string()
        .min(1)
        .max(256)
        .refine(isExpression, {
          error: ({ input }) =>
            `Invalid Schedule Expression ${input}. It must be rate(<n> minutes|hours|days), cron(<six fields>) or at(yyyy-mm-ddThh:mm:ss)`,
        }),
      scheduleExpressionTimezone: z.string().min(1).max(50).optional(),
      flexibleTimeWindow: z
        .looseObject({
          mode: z.enum(["OFF", "FLEXIBLE"]),
          maximumWindowInMinutes: z.number().int().min(1).max(1440).optional(),
        })
        .refine((window) => (window.mode === "FLEXIBLE") === (window.maximumWindowInMinutes !== undefined), {
          path: ["maximumWindowInMinutes"],
          error: "is required with mode FLEXIBLE and not allowed with mode OFF",
        }),
      target,
      state: z.enum(["ENABLED", "DISABLED"]).optional(),
      description: z.string().max(512).optional(),
      actionAfterCompletion: z.enum(["NONE", "DELETE"]).optional(),
      startDate: noDate.optional(),
      endDate: noDate.optional(),
    })
    .refine((inputs) => inputs.namePrefix === undefined || String(inputs.name).startsWith(inputs.namePrefix), {
      path: ["namePrefix"],
      error: "conflicts with name",
    }),
  replaceOn: ["name", "namePrefix", "groupName"],
  autoName: "name",
  id: (inputs) => `${inputs.groupName ?? "default"}/${text(inputs, "name")}`,
  conflict: "ConflictException",
  defaults: {
    namePrefix: "",
    groupName: "default",
    scheduleExpressionTimezone: "UTC",
    state: "ENABLED",
    actionAfterCompletion: "NONE",
  },
  computed: { arn: ({ id, account }) => account.arn("scheduler", `schedule/${id}`) },
};

/** Dependencies of the scheduler. */
export interface SchedulerOptions {
  account: AwsAccount;
  events: Events;
  timers: Timers;
  /** Invokes a Lambda asynchronously. Resolves when the event has been processed or dropped. */
  accept: (functionArn: string, event: unknown) => Promise<void>;
  send: (queueArn: string, message: unknown) => void;
}

/**
 * EventBridge Scheduler: a timer for each enabled schedule with a rate.
 *
 * - As in AWS, a new schedule invokes its target at once
 *   (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
 * - As in AWS, Lambda runs the event asynchronously. The retry policy applies only to events that Lambda does not
 *   accept.
 * - Unlike AWS, the scheduler skips an invocation while the previous invocation is still running.
 */
export class Scheduler {
  readonly effects: Effects = {
    create: async (resource) => {
      this.validate(resource);
      this.start(resource, 0);
      return undefined;
    },
    update: async (resource, previous) => {
      this.validate(resource);
      const timing = ({ outputs }: AwsResource) => `${outputs.state} ${outputs.scheduleExpression}`;
      if (timing(resource) !== timing(previous)) this.start(resource, 0);
      return undefined;
    },
    delete: async ({ id }) => this.stop(id),
  };
  /** Functions that stop the timers, by schedule id. */
  private readonly stops = new Map<string, () => void>();
  private readonly running = new Set<string>();
  private readonly pauses: Pauses;

  constructor(private readonly options: SchedulerOptions) {
    this.pauses = new Pauses(options.timers);
  }

  /**
   * Restarts the timers of the account's schedules. The first invocation comes after one full interval, not at once.
   */
  restore(): void {
    for (const resource of this.options.account.list(TYPE)) this.start(resource, intervalMs(resource));
  }

  /** Stops all timers and retries. */
  async close(): Promise<void> {
    for (const id of [...this.stops.keys()]) this.stop(id);
    this.pauses.end();
  }

  /** Runs the checks of CreateSchedule and UpdateSchedule that need other resources. */
  private validate({ outputs }: AwsResource): void {
    const { account } = this.options;
    if (outputs.groupName !== "default")
      throw new Error(`ResourceNotFoundException: Schedule group ${outputs.groupName} does not exist.`);
    if (!trusts(account, target.parse(outputs.target).roleArn, "scheduler.amazonaws.com"))
      throw new Error(
        "ValidationException: The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
      );
  }

  private start(resource: AwsResource, firstDelayMs: number | undefined): void {
    const { id, outputs } = resource;
    this.stop(id);
    if (outputs.state === "DISABLED") return;
    const everyMs = intervalMs(resource);
    if (everyMs === undefined || firstDelayMs === undefined) {
      this.log(
        `${id}: ${outputs.scheduleExpression} is stored but never runs, because the local cloud runs only rate(…)`,
      );
      return;
    }
    this.runAfter(id, firstDelayMs, everyMs);
  }

  private runAfter(id: string, delayMs: number, everyMs: number): void {
    const stop = this.options.timers.after(delayMs, () => {
      this.runAfter(id, everyMs, everyMs);
      void this.run(id);
    });
    this.stops.set(id, stop);
  }

  private stop(id: string): void {
    this.stops.get(id)?.();
    this.stops.delete(id);
  }

  private async run(id: string): Promise<void> {
    if (this.running.has(id))
      return this.log(`${id}: invocation skipped because the previous invocation is still running`);
    this.running.add(id);
    try {
      await this.deliver(id);
    } finally {
      this.running.delete(id);
    }
  }

  /** Delivers one event to Lambda. Retries as the retry policy says, until the schedule is deleted or stopped. */
  private async deliver(id: string): Promise<void> {
    let ageMs = 0;
    for (let attempt = 0; this.stops.has(id); attempt++) {
      const resource = this.options.account.get(TYPE, id);
      if (resource === undefined) return;
      const { arn, roleArn, input = "{}", retryPolicy, deadLetterConfig } = target.parse(resource.outputs.target);
      const rejection = this.rejection(arn, roleArn);
      this.log(`${id} → ${rejection ?? functionName(arn)}`);
      if (rejection === undefined) return this.options.accept(arn, JSON.parse(input));
      const delayMs = Math.min(1000 * 2 ** attempt, LONGEST_RETRY_MS) * (0.5 + Math.random() / 2);
      ageMs += delayMs;
      const isOver = attempt >= retryPolicy.maximumRetryAttempts || ageMs > retryPolicy.maximumEventAgeInSeconds * 1000;
      if (isOver) {
        this.log(`${id}: event dropped after ${attempt + 1} attempts`);
        if (deadLetterConfig) this.deadLetter(deadLetterConfig.arn, roleArn, JSON.parse(input));
        return;
      }
      if (!(await this.pauses.pause(delayMs))) return;
    }
  }

  /**
   * Sends the event to the dead-letter queue. As at AWS, drops the event when the role is not allowed to write to the
   * queue.
   */
  private deadLetter(queueArn: string, roleArn: string, event: unknown): void {
    const access = { action: "sqs:SendMessage", resource: queueArn };
    if (refusal(this.options.account, roleArn, [access]) === undefined) this.options.send(queueArn, event);
  }

  /** Returns the error with which Lambda would reject the event. Undefined when Lambda would accept it. */
  private rejection(arn: string, roleArn: string): string | undefined {
    const { account } = this.options;
    if (refusal(account, roleArn, [{ action: "lambda:InvokeFunction", resource: arn }]) !== undefined)
      return `AccessDeniedException: the role is not allowed to invoke ${functionName(arn)}`;
    if (account.get(lambdaFunction.type, functionName(arn)) === undefined)
      return `ResourceNotFoundException: Function not found: ${functionName(arn)}`;
    return undefined;
  }

  private log(summary: string): void {
    this.options.events.emit({ source: "scheduler", summary });
  }
}

/** The interval of a rate expression; undefined for cron and at expressions. */
function intervalMs({ outputs }: AwsResource): number | undefined {
  const rate = rateOf(String(outputs.scheduleExpression));
  return rate && rate.count * UNIT_MS[rate.unit];
}

function rateOf(expression: string): { count: number; unit: keyof typeof UNIT_MS } | undefined {
  const [, count, unit] = /^rate\(([1-9]\d*) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  return unit === undefined ? undefined : { count: Number(count), unit: unit as keyof typeof UNIT_MS };
}

function isExpression(expression: string): boolean {
  const [, kind, inside = ""] = /^(cron|at)\((.+)\)$/.exec(expression) ?? [];
  if (kind === "at") return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(inside) && !Number.isNaN(Date.parse(inside));
  if (kind === undefined) return rateOf(expression) !== undefined;
  const fields = inside.split(/\s+/);
  // Exactly one of day-of-month and day-of-week must be `?`.
  return (
    fields.length === 6 &&
    fields.every((field) => /^[\w*?,/#-]+$/.test(field)) &&
    (fields[2] === "?") !== (fields[4] === "?")
  );
}

function isJson(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}
