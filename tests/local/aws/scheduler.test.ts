import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { Scheduler } from "../../../local/aws/scheduler";
import { realTimers } from "../../../local/aws/support/timers";
import { code, type Engine, ManualTimers, nextEvent, startTestCloud } from "./fixture";

const SCHEDULE = "aws:scheduler/schedule:Schedule";
const FUNCTION = "aws:lambda/function:Function";
const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
const MINUTE_MS = 60_000;
const OK = /^reconciler-\w+ → ok$/;

const trust = (Service: string) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service } }],
});

/** Starts a local cloud with manual timers, and creates a function that logs its event. */
async function start(handler = "exports.handler = async (event) => console.log('got ' + JSON.stringify(event))") {
  const timers = new ManualTimers();
  const cloud = await startTestCloud({ timers });
  const { engine, events } = cloud;
  const role = await engine.create(ROLE, "timer", { assumeRolePolicy: trust("scheduler.amazonaws.com") });
  const fn = await engine.create(FUNCTION, "reconciler", {
    role: role.outputs.arn,
    handler: "__index.handler",
    runtime: "nodejs24.x",
    code: code(handler),
  });
  const { arn } = fn.outputs;
  const policy = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "lambda:Invoke*", Resource: arn } };
  const inputs = {
    scheduleExpression: "rate(15 minutes)",
    flexibleTimeWindow: { mode: "OFF" },
    target: { arn, roleArn: role.outputs.arn },
  };
  return {
    ...cloud,
    [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose](),
    timers,
    role,
    fn,
    inputs,
    policy,
    allow: () => engine.create(ROLE_POLICY, "timer", { role: role.id, policy }),
    next: (line: RegExp) => nextEvent(events, line),
    /** Advances the time and waits for one event per pattern. Returns the summary of the first pattern's event. */
    async advance(byMs: number, ...lines: RegExp[]) {
      const seen = Promise.all(lines.map((line) => nextEvent(events, line)));
      timers.advance(byMs);
      const [first] = await seen;
      await setImmediate();
      return first?.summary;
    },
  };
}

describe("Schedule", () => {
  it("invokes its function at once and then at its rate until the schedule is deleted", async () => {
    await using cloud = await start();
    await cloud.allow();
    const input = JSON.stringify({ limit: 5 });
    const schedule = await cloud.engine.create(SCHEDULE, "often", {
      ...cloud.inputs,
      target: { ...cloud.inputs.target, input },
    });
    expect(await cloud.advance(0, / got /, OK)).toBe(`${cloud.fn.id} got {"limit":5}`);
    expect(cloud.timers.delaysMs).toEqual([15 * MINUTE_MS]);
    for (let n = 0; n < 2; n++) await cloud.advance(15 * MINUTE_MS, / got {"limit":5}/, OK);
    await cloud.engine.delete(schedule);
    expect(cloud.timers.delaysMs).toEqual([]);
    expect(cloud.aws.account.list(SCHEDULE)).toEqual([]);
  });

  it("passes an empty object to the function when the schedule has no input", async () => {
    await using cloud = await start();
    await cloud.allow();
    await cloud.engine.create(SCHEDULE, "plain", cloud.inputs);
    expect(await cloud.advance(0, / got /)).toBe(`${cloud.fn.id} got {}`);
  });

  it("skips its next invocation while Lambda retries the failed function", async () => {
    await using cloud = await start("exports.handler = async () => { throw new TypeError('no sake') }");
    await cloud.allow();
    const inputs = { ...cloud.inputs, scheduleExpression: "rate(2 minutes)" };
    await cloud.engine.create(SCHEDULE, "failing", inputs);
    await cloud.advance(0, /→ TypeError/);
    expect(cloud.timers.delaysMs).toEqual([MINUTE_MS, 2 * MINUTE_MS]);
    await cloud.advance(MINUTE_MS, /→ TypeError/);
    expect(cloud.timers.delaysMs).toEqual([MINUTE_MS, 2 * MINUTE_MS]);
    expect(await cloud.advance(MINUTE_MS, /skipped/)).toMatch(
      /^default\/failing-.*: invocation skipped because the previous invocation is still running$/,
    );
    await cloud.advance(MINUTE_MS, /→ TypeError/, /dropped after 3 attempts/);
    expect(cloud.timers.delaysMs).toEqual([MINUTE_MS]);
    await cloud.advance(MINUTE_MS, /→ TypeError/);
  });

  it("follows its retry policy when its role may not invoke the function", async () => {
    await using cloud = await start();
    const retryPolicy = { maximumRetryAttempts: 1 };
    const target = { ...cloud.inputs.target, retryPolicy };
    await cloud.engine.create(SCHEDULE, "barred", { ...cloud.inputs, target });
    expect(await cloud.advance(0, /AccessDenied/)).toMatch(/the role is not allowed to invoke reconciler-/);
    const [delayMs = 0] = cloud.timers.delaysMs;
    expect(cloud.timers.delaysMs).toEqual([delayMs, 15 * MINUTE_MS]);
    await cloud.advance(delayMs, /AccessDenied/, /dropped after 2 attempts/);
    await cloud.allow();
    await cloud.advance(15 * MINUTE_MS, / got {}/);
  });

  it("puts an event into the dead-letter queue after the final attempt", async () => {
    await using cloud = await start();
    const queue = await cloud.engine.create("aws:sqs/queue:Queue", "failed", {});
    const { arn } = queue.outputs;
    const policy = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "sqs:SendMessage", Resource: arn } };
    await cloud.engine.create(ROLE_POLICY, "queue", { role: cloud.role.id, policy });
    const retryPolicy = { maximumRetryAttempts: 0 };
    const target = { ...cloud.inputs.target, retryPolicy, deadLetterConfig: { arn }, input: "[7]" };
    await cloud.engine.create(SCHEDULE, "barred", { ...cloud.inputs, target });
    await cloud.advance(0, /dropped after 1 attempts/, /← message$/);
    expect(cloud.aws.messages(String(arn))).toEqual([[7]]);
  });

  it("does not assume a role that trusts the scheduler of another account", async () => {
    await using cloud = await start();
    const trusting = (account: string) => {
      const { Version, Statement } = trust("scheduler.amazonaws.com");
      const Condition = { StringEquals: { "aws:SourceAccount": account } };
      return { assumeRolePolicy: { Version, Statement: Statement.map((one) => ({ ...one, Condition })) } };
    };
    const role = await cloud.engine.create(ROLE, "other", trusting("123456789012"));
    const target = { ...cloud.inputs.target, roleArn: role.outputs.arn };
    await expect(cloud.engine.create(SCHEDULE, "other", { ...cloud.inputs, target })).rejects.toThrow(
      /must allow AWS EventBridge Scheduler to assume the role/,
    );
    const own = await cloud.engine.create(ROLE, "own", trusting(cloud.aws.account.accountId));
    await cloud.engine.create(SCHEDULE, "own", {
      ...cloud.inputs,
      target: { ...cloud.inputs.target, roleArn: own.outputs.arn },
    });
  });

  it("does not invoke a denied or deleted function", async () => {
    await using cloud = await start();
    await cloud.allow();
    await cloud.engine.create(SCHEDULE, "barred", cloud.inputs);
    const deny = await cloud.engine.create(ROLE_POLICY, "deny", {
      role: cloud.role.id,
      policy: { ...cloud.policy, Statement: [{ ...cloud.policy.Statement, Effect: "Deny" }] },
    });
    await cloud.advance(0, /AccessDenied/);
    await cloud.engine.delete(deny);
    await cloud.engine.delete(cloud.fn);
    const [delayMs = 0] = cloud.timers.delaysMs;
    await cloud.advance(delayMs, /ResourceNotFoundException: Function not found: reconciler-/);
  });

  it("pauses while it is disabled and restarts its interval when its rate changes", async () => {
    await using cloud = await start();
    await cloud.allow();
    const disabled = { ...cloud.inputs, state: "DISABLED" };
    let schedule = await cloud.engine.create(SCHEDULE, "disabled", disabled);
    expect(cloud.timers.delaysMs).toEqual([]);
    schedule = await cloud.engine.update(schedule, cloud.inputs);
    await cloud.advance(0, / got {}/, OK);
    cloud.timers.advance(MINUTE_MS);
    const target = { ...cloud.inputs.target, input: "[1]" };
    expect((await cloud.engine.diff(schedule, { ...cloud.inputs, target })).replaces).toEqual([]);
    schedule = await cloud.engine.update(schedule, { ...cloud.inputs, target });
    expect(cloud.timers.delaysMs).toEqual([14 * MINUTE_MS]);
    expect(await cloud.advance(14 * MINUTE_MS, / got /)).toMatch(/got \[1\]$/);
    schedule = await cloud.engine.update(schedule, { ...cloud.inputs, scheduleExpression: "rate(1 days)" });
    expect(cloud.timers.delaysMs).toEqual([0]);
    await cloud.engine.update(schedule, disabled);
    expect(cloud.timers.delaysMs).toEqual([]);
  });

  it.each(["cron(0 3 ? * MON-FRI *)", "at(2030-01-01T03:00:00)"])(
    "is stored but never runs when its expression is %s",
    async (expression) => {
      await using cloud = await start();
      const note = cloud.next(/is stored but never runs/);
      const schedule = await cloud.engine.create(SCHEDULE, "nightly", {
        ...cloud.inputs,
        scheduleExpression: expression,
      });
      expect(await note).toMatchObject({
        source: "scheduler",
        summary: expect.stringContaining(`${schedule.id}: ${expression}`),
      });
      expect(schedule.outputs.scheduleExpression).toBe(expression);
      expect(cloud.timers.delaysMs).toEqual([]);
    },
  );

  it("invokes its function one full interval after the local cloud restarts", async () => {
    await using first = await start();
    await first.allow();
    const schedule = await first.engine.create(SCHEDULE, "kept", first.inputs);
    await first.engine.create(SCHEDULE, "disabled", { ...first.inputs, state: "DISABLED" });
    await first.stop();
    expect(first.timers.delaysMs).toEqual([]);

    const timers = new ManualTimers();
    const second = await startTestCloud({ dir: first.dir, timers });
    expect(timers.delaysMs).toEqual([15 * MINUTE_MS]);
    const got = nextEvent(second.events, / got {}/);
    timers.advance(15 * MINUTE_MS);
    await got;
    expect((await second.engine.diff(schedule, first.inputs)).some).toBe(false);
    await second.stop();
    expect(timers.delaysMs).toEqual([]);
  });

  it("skips an invocation while the previous invocation still runs", async () => {
    await using cloud = await start();
    await cloud.allow();
    await cloud.engine.create(SCHEDULE, "slow", cloud.inputs);
    const timers = new ManualTimers();
    const { account } = cloud.aws;
    const running: (() => void)[] = [];
    const accept = () => new Promise<void>((resolve) => running.push(resolve));
    const scheduler = new Scheduler({ account, events: cloud.events, timers, accept, send: () => {} });
    scheduler.restore();
    timers.advance(45 * MINUTE_MS);
    expect(running).toHaveLength(1);
    running[0]?.();
    await setImmediate();
    timers.advance(15 * MINUTE_MS);
    expect(running).toHaveLength(2);
    await scheduler.close();
    expect(timers.delaysMs).toEqual([]);
  });
});

describe("Schedule resource", () => {
  const reasons = async (engine: Engine, inputs: object) =>
    (await engine.check(SCHEDULE, "bad", { ...inputs })).failures.map(({ reason }) => reason);

  it("has the real provider's outputs, and is replaced only for a new name or group", async () => {
    await using cloud = await start();
    const inputs = { ...cloud.inputs, name: "reconcile", description: "heals" };
    const schedule = await cloud.engine.create(SCHEDULE, "reconcile", inputs);
    expect(schedule.id).toBe("default/reconcile");
    expect(schedule.outputs).toEqual({
      ...inputs,
      region: "us-east-1",
      arn: "arn:aws:scheduler:us-east-1:000000000000:schedule/default/reconcile",
      namePrefix: "",
      groupName: "default",
      scheduleExpressionTimezone: "UTC",
      state: "ENABLED",
      actionAfterCompletion: "NONE",
    });
    const diff = (change: object) => cloud.engine.diff(schedule, { ...inputs, ...change });
    expect((await diff({})).some).toBe(false);
    expect(await diff({ name: "other" })).toMatchObject({ replaces: ["name"], deleteBeforeReplace: false });
    expect(await diff({ groupName: "other" })).toMatchObject({ replaces: ["groupName"] });
    expect((await diff({ scheduleExpression: "rate(1 hour)", state: "DISABLED" })).replaces).toEqual([]);
    await expect(cloud.engine.create(SCHEDULE, "again", inputs)).rejects.toThrow(/ConflictException/);
    expect((await cloud.engine.read(SCHEDULE, "reconcile", "default/reconcile")).inputs).toMatchObject(inputs);
  });

  it("gets an automatic name from its prefix, or from its logical name when it has no prefix", async () => {
    await using cloud = await start();
    const plain = await cloud.engine.create(SCHEDULE, "named", cloud.inputs);
    expect(plain.id).toMatch(/^default\/named-[0-9a-f]{7}$/);
    const inputs = { ...cloud.inputs, namePrefix: "snack-" };
    const prefixed = await cloud.engine.create(SCHEDULE, "named", inputs);
    expect(prefixed.outputs.name).toMatch(/^snack-[0-9a-f]{7}$/);
    expect((await cloud.engine.diff(prefixed, inputs)).some).toBe(false);
    const changed = await cloud.engine.diff(prefixed, { ...cloud.inputs, namePrefix: "bar-" });
    expect(changed).toMatchObject({ replaces: ["name", "namePrefix"], deleteBeforeReplace: false });
  });

  it("rejects a role that does not trust the scheduler, and a group that does not exist", async () => {
    await using cloud = await start();
    const other = await cloud.engine.create(ROLE, "other", { assumeRolePolicy: trust("lambda.amazonaws.com") });
    const message = /must allow AWS EventBridge Scheduler to assume the role/;
    for (const roleArn of [other.outputs.arn, "arn:aws:iam::000000000000:role/none"]) {
      const target = { ...cloud.inputs.target, roleArn };
      await expect(cloud.engine.create(SCHEDULE, "bad", { ...cloud.inputs, target })).rejects.toThrow(message);
    }
    await expect(cloud.engine.create(SCHEDULE, "bad", { ...cloud.inputs, groupName: "none" })).rejects.toThrow(
      "ResourceNotFoundException: Schedule group none does not exist.",
    );
    expect(cloud.timers.delaysMs).toEqual([]);
  });

  it("rejects each invalid input with the property's name and the reason", async () => {
    await using cloud = await start();
    const { inputs, engine } = cloud;
    const expression = async (scheduleExpression: string) => reasons(engine, { ...inputs, scheduleExpression });
    for (const valid of ["rate(1 minute)", "rate(1 hours)", "rate(30 days)", "cron(0/5 * * * ? *)"])
      expect(await expression(valid)).toEqual([]);
    for (const invalid of [
      "rate(0 minutes)",
      "rate(5 seconds)",
      "5 minutes",
      "cron(0 * * * *)",
      "cron(0 3 * * * *)",
      "at(2030-13-01T00:00:00)",
    ])
      expect(await expression(invalid)).toEqual([
        `scheduleExpression: Invalid Schedule Expression ${invalid}. It must be rate(<n> minutes|hours|days), cron(<six fields>) or at(yyyy-mm-ddThh:mm:ss)`,
      ]);

    const { target } = inputs;
    const cases: [object, RegExp][] = [
      [{ flexibleTimeWindow: { mode: "FLEXIBLE" } }, /^flexibleTimeWindow\.maximumWindowInMinutes: .*FLEXIBLE/],
      [{ flexibleTimeWindow: { mode: "OFF", maximumWindowInMinutes: 5 } }, /^flexibleTimeWindow\.maximumWindow/],
      [{ flexibleTimeWindow: undefined }, /^flexibleTimeWindow: /],
      [{ target: { ...target, arn: "arn:aws:sqs:us-east-1:000000000000:q" } }, /^target\.arn: .*Lambda function/],
      [{ target: { ...target, roleArn: "timer" } }, /^target\.roleArn: .*ARN of a role/],
      [{ target: { ...target, input: "{" } }, /^target\.input: must be valid JSON/],
      [{ target: { ...target, retryPolicy: { maximumRetryAttempts: 186 } } }, /maximumRetryAttempts: .*185/],
      [{ target: { ...target, retryPolicy: { maximumEventAgeInSeconds: 59 } } }, /maximumEventAgeInSeconds: .*60/],
      [{ state: "PAUSED" }, /^state: .*ENABLED.*DISABLED/],
      [{ name: "with space" }, /^name: The name must consist of/],
      [{ name: "a", namePrefix: "b" }, /^namePrefix: conflicts with name/],
      [{ startDate: "2030-01-01T00:00:00Z" }, /^startDate: is not supported/],
    ];
    for (const [change, reason] of cases) {
      const found = await reasons(engine, JSON.parse(JSON.stringify({ ...inputs, ...change })));
      expect(found).toEqual([expect.stringMatching(reason)]);
    }
  });
});

describe("Real timers", () => {
  it("run on time when the delay is too long for setTimeout", () => {
    vi.useFakeTimers();
    try {
      const run = vi.fn();
      const cancelled = vi.fn();
      const days = 24 * 60 * MINUTE_MS;
      realTimers.after(60 * days, run);
      const cancel = realTimers.after(30 * days, cancelled);
      vi.advanceTimersByTime(29 * days);
      cancel();
      vi.advanceTimersByTime(31 * days - 1);
      expect(run).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(run).toHaveBeenCalledOnce();
      expect(cancelled).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("An asynchronous invocation", () => {
  const CONFIG = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig";
  const failing = "exports.handler = async () => { throw new TypeError('no sake') }";

  it("is not retried when maximumRetryAttempts is 0", async () => {
    await using cloud = await start(failing);
    await cloud.allow();
    await cloud.engine.create(CONFIG, "none", { functionName: cloud.fn.id, maximumRetryAttempts: 0 });
    await cloud.engine.create(SCHEDULE, "failing", cloud.inputs);
    await cloud.advance(0, /→ TypeError/, /dropped after 1 attempt$/);
    expect(cloud.timers.delaysMs).toEqual([15 * MINUTE_MS]);
  });

  it("sends the event and the error to the destination after the final retry", async () => {
    await using cloud = await start(failing);
    await cloud.allow();
    const { outputs } = await cloud.engine.create("aws:sqs/queue:Queue", "failed", {});
    const destinationConfig = { onFailure: { destination: outputs.arn } };
    const inputs = { functionName: cloud.fn.id, maximumRetryAttempts: 1, destinationConfig };
    await expect(cloud.engine.create(CONFIG, "denied", inputs)).rejects.toThrow(
      /execution role does not have permissions to call SendMessage/,
    );
    const policy = { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "sqs:*", Resource: outputs.arn } };
    await cloud.engine.create(ROLE_POLICY, "queue", { role: cloud.role.id, policy });
    await cloud.engine.create(CONFIG, "failed", inputs);
    await cloud.engine.create(SCHEDULE, "failing", cloud.inputs);
    await cloud.advance(0, /→ TypeError/);
    await cloud.advance(MINUTE_MS, /→ TypeError/, /dropped after 2 attempts/);
    expect(cloud.aws.messages(String(outputs.arn))).toMatchObject([
      {
        requestContext: { functionArn: cloud.fn.outputs.arn, condition: "RetriesExhausted", approximateInvokeCount: 2 },
        requestPayload: {},
        responsePayload: { errorType: "TypeError", errorMessage: "no sake" },
      },
    ]);
  });
});
