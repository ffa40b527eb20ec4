import { setTimeout as sleep } from "node:timers/promises";
import { type Model, models } from "../../contract/plan";
import type { AlarmCode } from "../../functions/core/alarmCodes";
import type { FunctionName } from "../../infra/bundle";
import type { Fault as RunpodFault } from "../../local/runpod/account/switches";
import type { Stage, Undo } from "./stage";

/** A fault of the local cloud. */
export interface Fault {
  /** Names of the alarms that must fire because of the fault. */
  fires: string[];
  /**
   * How the metric gets its values. `path`: the stack's own function on its real path. `log line`: only the log line is
   * written, because the real cause is a race or an answer that the doubles cannot give.
   */
  by: "path" | "log line";
  /** Begins the fault. */
  start?(stage: Stage): Promise<Undo>;
  /** Runs in each minute of the fault. */
  eachMinute?(stage: Stage): Promise<void>;
}

/** Faults that last at the same time, and that do not disturb each other. */
export type Round = Fault[];

const nothing: Undo = () => {};
/** More calls than a round can make. */
const MANY = 100_000;

/** Fault of RunPod's API for all calls of a pattern. */
function runpodFails(stage: Stage, on: string, answer: RunpodFault["answer"]): Undo {
  const { switches } = stage.cloud.runpod;
  const fault = { on, answer, times: MANY, skip: 0, done: false, delayMs: 0 };
  switches.faults.push(fault);
  return () => void switches.faults.splice(switches.faults.indexOf(fault), 1);
}

/** Changes the handler of a function to a missing one, like a broken archive. */
function breakArchive(stage: Stage, name: FunctionName): Undo {
  return stage.changeFunction(name, { handler: "__index.missing" });
}

/** A function that Lambda may not run. */
const throttled = (name: FunctionName, call: (stage: Stage) => Promise<unknown>): Fault => ({
  fires: [`${name}-throttled`],
  by: "path",
  start: async (stage) => stage.changeFunction(name, { reservedConcurrentExecutions: 0 }),
  eachMinute: async (stage) => void (await call(stage)),
});

/** Alarm codes whose cause is a race, or an answer that the doubles do not give. The functions write the same line. */
const onlyLogged: Partial<Record<AlarmCode, FunctionName>> = {
  unknown_status: "webhook",
  paid_subscription_canceled: "checkout",
};

const stripeFaults: Fault[] = [
  {
    fires: ["webhook-signatures"],
    by: "path",
    eachMinute: async (stage) => {
      const headers = { "stripe-signature": "t=1,v1=00" };
      for (let request = 0; request < 5; request++) await stage.callApi("/webhook/stripe", { headers, body: "{}" });
    },
  },
  {
    fires: ["webhook-lag"],
    by: "path",
    start: async (stage) => {
      await stage.sendEvent({ object: "product", id: "prod_1" }, { type: "product.updated", ageSeconds: 3_600 });
      return nothing;
    },
  },
  {
    fires: ["unknown-customer"],
    by: "path",
    eachMinute: (stage) => stage.sendEvent({ object: "subscription", id: "sub_none", customer: "cus_none" }),
  },
  {
    fires: ["another-customer"],
    by: "path",
    start: async (stage) => {
      const { userId } = await stage.subscribe("price_local_paid");
      await stage.subscribe("price_local_paid", "pm_card_visa", userId);
      return nothing;
    },
  },
  {
    fires: ["customer-of-two-users"],
    by: "path",
    start: async (stage) => {
      const { customer } = await stage.subscribe("price_local_paid");
      const metadata = { owner: stage.names.owner, user_id: "another-user" };
      await stage.sendEvent({ object: "subscription", id: "sub_none", customer, metadata });
      return nothing;
    },
  },
  {
    fires: ["two-live-subscriptions"],
    by: "path",
    start: async (stage) => {
      const { customer } = await stage.subscribe("price_local_paid");
      await stage.stripe.subscriptions.create({ customer, items: [{ price: "price_local_paid" }] });
      await stage.stripeDouble.settled();
      return nothing;
    },
  },
  {
    fires: ["unknown-price"],
    by: "path",
    start: async (stage) => {
      const product = "スナック美砂樹 別のプラン";
      const { id } = await stage.stripe.prices.create({
        ...{ currency: "jpy", unit_amount: 500, recurring: { interval: "month" } },
        product_data: { name: product },
      });
      await stage.subscribe(id);
      return nothing;
    },
  },
  {
    fires: ["open-dispute"],
    by: "path",
    start: async (stage) => {
      const { customer, userId } = await stage.subscribe("price_local_paid", "pm_card_createDispute");
      const metadata = { owner: stage.names.owner, user_id: userId };
      await stage.sendEvent({ object: "subscription", id: "sub_none", customer, metadata });
      return nothing;
    },
  },
  {
    fires: ["portal-cannot-change-plan"],
    by: "path",
    start: async (stage) => {
      stage.stripeDouble.switches.portal = "fixedPlan";
      await stage.openPortal();
      return () => {
        stage.stripeDouble.switches.portal = "complete";
      };
    },
  },
];

const chatFaults: Fault[] = [
  {
    // The model fails: the relay asks again, gives up, and answers with an error.
    fires: ["chat-failure-rate", "chat-volume", "customers-cannot-chat", "relay-5xx", "relay-fallbacks"],
    by: "path",
    start: async (stage) => {
      const end = runpodFails(stage, "POST /v2/*/run", 500);
      await stage.chat("guest", 12);
      return end;
    },
  },
  {
    fires: ["vip-spend-ceiling"],
    by: "path",
    eachMinute: (stage) => stage.chat("vip", 1),
  },
];

const logged = Object.entries(onlyLogged).map(
  ([code, name]): Fault => ({
    fires: [code.replaceAll("_", "-")],
    by: "log line",
    start: async (stage) => {
      stage.writeLog(name, { alarm: code });
      return nothing;
    },
  }),
);

/** Idle endpoints: after a week RunPod allows no worker. */
const shrunk: Fault = {
  fires: models.flatMap((model) => [`${model}-shrunk`, `${model}-no-capacity`]),
  by: "path",
  start: async (stage) => {
    const before = models.map((model) => ({ model, ...stage.endpoint(model) }));
    stage.cloud.runpod.skip(8 * 86_400_000);
    for (const { model } of before) await stage.submitJobs(model, 1);
    return async () => {
      // The registry token has expired meanwhile.
      await stage.cloud.aws.invoke(stage.function("registryRefresh").id, {});
      for (const { model, id, workersMax } of before) {
        await stage.purgeJobs(model);
        await stage.callRunpod("PATCH", `/serverless/${id}`, { workers: { max: workersMax } });
      }
    };
  },
};

const noGpu = (model: Model): Fault => ({
  fires: [`${model}-scarcity`],
  by: "path",
  start: async (stage) => {
    const { switches } = stage.cloud.runpod;
    const name = stage.names.endpoint(model);
    switches.noCapacity.push(name);
    await restartWorkers(stage, model);
    return async () => {
      switches.noCapacity.splice(switches.noCapacity.indexOf(name), 1);
      await stage.purgeJobs(model);
    };
  },
});

const crashing = (model: Model): Fault => ({
  fires: [`${model}-crash-loop`, `${model}-unhealthy`],
  by: "path",
  start: async (stage) => {
    const { switches } = stage.cloud.runpod;
    const name = stage.names.endpoint(model);
    switches.crashing.push(name);
    await restartWorkers(stage, model);
    return async () => {
      switches.crashing.splice(switches.crashing.indexOf(name), 1);
      await stage.purgeJobs(model);
    };
  },
});

/** Stops the running workers of a model, and sends a job that needs a new one. */
async function restartWorkers(stage: Stage, model: Model): Promise<void> {
  const { id, workersMax } = stage.endpoint(model);
  const setMax = (max: number) => stage.callRunpod("PATCH", `/serverless/${id}`, { workers: { max } });
  await setMax(0);
  await setMax(workersMax);
  await stage.submitJobs(model, 1);
}

const lostResults = (model: Model): Fault => ({
  // The workers' results do not arrive, so RunPod ends the jobs at their time limit.
  fires: [`${model}-jobs-failed`],
  by: "path",
  start: async (stage) => runpodFails(stage, `POST /v2/${stage.endpoint(model).id}/job-done/*`, 500),
  eachMinute: async (stage) => {
    await stage.submitJobs(model, 3);
    await sleep(200);
    stage.cloud.runpod.skip(130_000);
  },
});

const spend: Fault = {
  fires: models.map((model) => `${model}-spend`),
  by: "path",
  start: async (stage) => {
    const { switches } = stage.cloud.runpod;
    switches.hourlyUsd = 50;
    // A new container reads the costs at once, instead of after ten minutes.
    const end = stage.changeFunction("poller", { memorySize: 256 });
    return () => {
      switches.hourlyUsd = 0;
      return end();
    };
  },
};

const registryToken: Fault = {
  fires: ["registry-token-age"],
  by: "path",
  start: async (stage) => {
    const name = stage.names.parameters.registryTokenExpiry;
    const valid = new Date(Date.now() + 11 * 3_600_000).toISOString();
    await stage.putParameter(name, new Date(Date.now() + 3_600_000).toISOString());
    return () => stage.putParameter(name, valid);
  },
};

const renewal: Fault = {
  fires: ["registryRefresh", "failed-runs"],
  by: "path",
  start: async (stage) => {
    const end = runpodFails(stage, "updateRegistryAuth", { message: "Registry Auth not found" });
    const { aws } = stage.cloud;
    // One run outside of its schedule, which Lambda retries twice before it goes to the queue.
    void aws.accept(stage.function("registryRefresh").id, {});
    return end;
  },
};

/**
 * All faults, in rounds. Together they must fire every alarm of infra/alarms.ts: the drill reports the alarms that did
 * not fire.
 */
export const rounds: Round[] = [
  [...stripeFaults, ...logged],
  chatFaults,
  [
    {
      fires: ["relay-provider"],
      by: "path",
      start: async (stage) => {
        const end = runpodFails(stage, "POST /v2/*/run", 401);
        await stage.chat("guest", 1);
        return end;
      },
    },
    {
      fires: ["unknown-vip-provider"],
      by: "path",
      start: async (stage) => {
        const { environment } = stage.function("relay").outputs as { environment: { variables: object } };
        const variables = { ...environment.variables, VIP_PROVIDERS: "nobody" };
        const end = stage.changeFunction("relay", { environment: { variables } });
        await stage.chat("vip", 1);
        return end;
      },
    },
  ],
  [
    {
      // The relay loses its table while a chat runs.
      fires: ["usage-not-settled"],
      by: "path",
      start: async (stage) => {
        const { faults } = stage.cloud.runpod.switches;
        const slow = { on: "POST /v2/*/run", answer: "pass", times: 1, skip: 0, done: false, delayMs: 1_500 } as const;
        const fault = { ...slow };
        faults.push(fault);
        const chat = stage.chat("guest", 1);
        // RunPod removes the fault when the relay's call arrives.
        while (faults.includes(fault)) await sleep(20);
        const end = stage.denyEphemeralTable("relay");
        await chat;
        return end;
      },
    },
    {
      fires: ["event-not-counted", "event-not-recorded"],
      by: "path",
      start: async (stage) => {
        const { customer } = await stage.subscribe("price_local_paid");
        const end = stage.denyEphemeralTable("webhook");
        await stage.sendEvent({ object: "subscription", id: "sub_none", customer });
        return end;
      },
    },
  ],
  [
    {
      fires: ["relay-crashes", "customers-cannot-chat"],
      by: "path",
      start: async (stage) => breakArchive(stage, "relay"),
      // In each minute, because a busy machine may refuse the session or some of the chats.
      eachMinute: (stage) => stage.chat("guest", 12).catch(nothing),
    },
  ],
  [
    throttled("session", (stage) => stage.openSession("free").catch(nothing)),
    throttled("webhook", (stage) => stage.callApi("/webhook/stripe")),
    throttled("relay", (stage) => stage.callRelay()),
    {
      ...throttled("guest", async (stage) => {
        for (let request = 0; request < 5; request++) await stage.callApi("/auth/guest");
      }),
      fires: ["guest-throttled", "api-5xx", "customers-cannot-chat"],
    },
  ],
  [shrunk],
  models.map(noGpu),
  models.map(crashing),
  [...models.map(lostResults), spend],
  [
    {
      // RunPod's job API does not answer, so the poller has no numbers.
      fires: ["runpod-unreadable", "poller-silent"],
      by: "path",
      start: async (stage) => runpodFails(stage, "GET /v2/*/health", 500),
    },
    {
      fires: ["keep-alive-failed"],
      by: "path",
      start: async (stage) => runpodFails(stage, "POST /v2/*/run", 500),
      eachMinute: (stage) => stage.makeKeepAliveDue(models[0]),
    },
    registryToken,
  ],
  [
    {
      fires: ["candidate-unreadable"],
      by: "path",
      start: async (stage) => stage.denyCandidates("canary"),
    },
  ],
  [
    {
      fires: ["canary-errors"],
      by: "path",
      start: async (stage) => breakArchive(stage, "canary"),
    },
    {
      // The poller does not end within its time.
      fires: ["poller-errors"],
      by: "path",
      start: async (stage) => {
        const { switches } = stage.cloud.runpod;
        const fault = { on: "GET /v2/*", answer: "pass", times: MANY, skip: 0, done: false, delayMs: 3_000 } as const;
        const slow = { ...fault };
        switches.faults.push(slow);
        const end = stage.changeFunction("poller", { timeout: 1 });
        return () => {
          switches.faults.splice(switches.faults.indexOf(slow), 1);
          return end();
        };
      },
    },
  ],
  [
    {
      // Stripe lost the events of ten minutes ago.
      fires: ["reconciler-fixes"],
      by: "path",
      start: async (stage) => {
        const { switches, account } = stage.stripeDouble;
        const { aheadSeconds } = account.ledger.state.counters;
        switches.lose = true;
        account.ledger.set("counters", "aheadSeconds", aheadSeconds - 600);
        await stage.subscribe("price_local_paid");
        account.ledger.set("counters", "aheadSeconds", aheadSeconds);
        // Stripe must lose its retries too, because its first retry comes after one real second.
        return () => {
          switches.lose = false;
        };
      },
    },
  ],
  [
    {
      fires: ["reconciler-failed", "reconciler-errors"],
      by: "path",
      start: async (stage) => {
        const { switches } = stage.stripeDouble;
        Object.assign(switches, { apiFailures: MANY, apiFailureStatus: 500 });
        return () => {
          switches.apiFailures = 0;
        };
      },
    },
    renewal,
  ],
  [
    {
      // The reconciler has no time for its list of events.
      fires: ["reconciler-incomplete"],
      by: "path",
      start: async (stage) => stage.changeFunction("reconciler", { timeout: 30 }),
    },
  ],
];
