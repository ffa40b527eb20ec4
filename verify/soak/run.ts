import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../../cli/root";
import { type Client, createApi } from "../../client";
import { customers as seeded } from "../../local/cloud/customers";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { Random } from "../chaos/random";
import { Browser } from "./browser";
import { SoakCloud } from "./cloud";
import { Customer, type Scene } from "./customer";
import { CloudSwitches, cycleFaults } from "./faults";
import { averages, type Measurement, memoryGrowth } from "./processes";
import { Stack } from "./stack";
import { watchStalls } from "./stalls";
import { StripeEvents } from "./stripeEvents";
import { type Findings, Tally } from "./tally";
import { Timeline } from "./timeline";
import { watchWebhooks } from "./webhooks";

/** Options of a run. */
export interface SoakOptions {
  /** Time with faults, without the start, the time that fills the containers and the checks at the end. */
  minutes: number;
  customers: number;
  /** Seed of the customers' actions. The times of the actions also depend on the machine. */
  seed: number;
  /** Called with each step of the run. */
  say: (line: string) => void;
  /** Called often with the current state. The state replaces the previous line on the terminal. */
  show: (line: string) => void;
}

/** Result of a run. */
export interface SoakResult extends Findings {
  /** Number of complete replies, in total and per minute of the time with faults. */
  chats: number;
  chatsPerMinute: number;
  /** Errors that an active fault explains. */
  excused: number;
  /**
   * Time in which this machine was too busy for the product's time limits. Such a stall counts as a fault that explains
   * all errors.
   */
  stalledSeconds: number;
  /** Number of rounds of faults. */
  rounds: number;
  /** Accounts of the customers, without the accounts that fill the containers. */
  accounts: number;
  /** Largest growth of a program's resident memory in the last two thirds of the time with faults, in percent. */
  memoryGrowth: number;
  /** Resident memory of an average process of each program in MB: after a third of the time, and at the end. */
  memoryMb: Record<string, [number, number]>;
  /** Number of Lambda's containers at the two measurements. */
  containers: [number, number];
  /** Processes that still ran after the stop of the local cloud. */
  leftProcesses: string[];
}

/**
 * Share of the time with faults before the first measurement of the memory. In this time every fault occurs once, so
 * that Node compiles the code that handles the fault.
 */
const WARM_UP_SHARE = 1 / 3;
/**
 * Number of concurrent calls of each route that start the API's containers. The local cloud starts at most four
 * containers of a function.
 */
const API_CALLS_AT_ONCE = 4;
/**
 * Accounts that start the relay's containers, and the number of concurrent chats of each account. Together they send
 * 1.5 chats per customer at a time, which is more than the customers later do. Chats of one account slow each other
 * down, because each chat changes the usage of the account.
 */
const FILLERS = { perCustomer: 0.5, chatsAtOnce: 3 };
/** The memory of a container grows during its first chats, until Node has compiled the code that runs often. */
const FILL_ROUNDS = 8;
/** The chain of external LLMs. The relay asks the next LLM when an LLM is overloaded. */
const CHAIN = ["anthropic", "openai", "bedrock"] as const;
/** Time limit for each customer's last action. */
const HOMEWARD_MS = 180_000;
const MONTH_SECONDS = 32 * 24 * 3600;
const SHOW_EVERY_MS = 1_000;
/** Time in which the last requests end after all customers have stopped. */
const QUIET_MS = 1_500;

/**
 * Lets customers use a local cloud, and turns its faults on and off. At the end, compares the result with the expected
 * result.
 *
 * @throws Error when the local cloud does not start
 */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  options.say("starting the local cloud");
  const cloud = await SoakCloud.start();
  try {
    const result = await new Soak(cloud, options).run();
    options.say("stopping the local cloud");
    return { ...result, leftProcesses: (await cloud.stop()).map(({ name, pid }) => `${name} (${pid})`) };
  } finally {
    await cloud.stop();
  }
}

/** One run in a local cloud that has started. */
class Soak {
  private readonly timeline = new Timeline();
  private readonly tally = new Tally(this.timeline);
  private readonly stack: Stack;
  private readonly switches: CloudSwitches;
  private readonly events: StripeEvents;
  private readonly customers: Customer[];
  /** Customers who only fill the containers. */
  private readonly fillers: Customer[];
  private readonly failed = new AbortController();
  private open = Promise.withResolvers<void>();
  private waiting = 0;
  private isOver = false;
  private active: string[] = [];

  constructor(
    private readonly cloud: SoakCloud,
    private readonly options: SoakOptions,
  ) {
    const config = readStackConfig(root, "local");
    this.stack = new Stack(cloud, config);
    this.switches = new CloudSwitches(cloud, this.stack, config.values[configKey("runpodApiKey")] ?? "");
    this.events = new StripeEvents(cloud, this.stack, config);
    const scene: Scene = { cloud, tally: this.tally, gate: () => this.gate(), isOver: () => this.isOver };
    const { seed, customers } = options;
    const numbers = Array.from({ length: Math.ceil(customers * (1 + FILLERS.perCustomer)) }, (_, index) => index + 1);
    const all = numbers.map((number) => new Customer(`customer ${number}`, scene, new Random(seed, number)));
    this.customers = all.slice(0, customers);
    this.fillers = all.slice(customers);
  }

  async run(): Promise<Omit<SoakResult, "leftProcesses">> {
    const { say, show, minutes } = this.options;
    const durationMs = minutes * 60_000;
    const stopWatching = watchWebhooks(this.cloud.started, this.tally);
    const stalls = watchStalls(this.cloud.started, this.timeline);
    const showing = setInterval(() => show(this.state()), SHOW_EVERY_MS);
    try {
      say("warming up");
      await Promise.all(this.fillers.map((filler, index) => filler.join(index % 2 === 0 ? "vip" : "free")));
      await this.fillContainers();
      this.open.resolve();
      const living = this.customers.map((customer) => customer.live());
      const crash = Promise.all(living).catch((error: unknown) => this.failed.abort(error));
      say(`${this.options.customers} customers, and faults for ${minutes} min`);
      const first = await this.cycle(durationMs * WARM_UP_SHARE);
      const before = await this.pausedMeasurement();
      const second = await this.cycle(durationMs * (1 - WARM_UP_SHARE));
      const chatsPerMinute = Math.round((first.chats + second.chats) / minutes);
      const rounds = first.rounds + second.rounds;
      say("waiting for the last actions");
      this.isOver = true;
      await Promise.race([crash, sleep(HOMEWARD_MS, undefined, { ref: false }).then(() => this.report("hang"))]);
      this.failed.signal.throwIfAborted();
      await this.checkEnd();
      say("measuring the memory");
      await this.fillContainers();
      await sleep(QUIET_MS);
      const after = await this.cloud.measure();
      const { lostEvents, wrongPlans, unexpected5xx, unexpectedErrors, chats, excused } = this.tally;
      const accounts = this.customers.reduce((sum, customer) => sum + customer.accounts.length, 0);
      const findings = { lostEvents, wrongPlans, unexpected5xx, unexpectedErrors };
      const containers: [number, number] = [before.containers.count, after.containers.count];
      const memory = { memoryGrowth: memoryGrowth(before, after), memoryMb: megabytes(before, after), containers };
      const stalledSeconds = Math.round(stalls.stalledMs() / 1000);
      return { ...findings, stalledSeconds, chats, chatsPerMinute, excused, rounds, accounts, ...memory };
    } finally {
      clearInterval(showing);
      stalls.stop();
      await stopWatching();
      this.stack.close();
    }
  }

  /** Turns the faults on and off. Returns the number of rounds, and of the complete replies. */
  private async cycle(durationMs: number): Promise<{ rounds: number; chats: number }> {
    const { switches, timeline, tally } = this;
    const chatsBefore = tally.chats;
    const rounds = await cycleFaults({
      ...{ switches, timeline, durationMs, signal: this.failed.signal },
      onRound: (names) => {
        this.active = names;
      },
    });
    return { rounds, chats: tally.chats - chatsBefore };
  }

  /** Compares plans and events, now and after the end of each subscription's period. */
  private async checkEnd(): Promise<void> {
    const { say } = this.options;
    say("waiting for Stripe's events, and checking the plans");
    await this.checkEvents();
    await this.checkPlans("at the end");
    say("moving Stripe's clock by a month, and checking the plans again");
    await this.advance();
    await this.checkEvents();
    await this.checkPlans("a month later");
  }

  private async checkEvents(): Promise<void> {
    const lost = await this.events.settled();
    const lines = lost.map(({ id, type }) => `${type} ${id} was never handled`);
    this.tally.lostEvents.push(...lines.filter((line) => !this.tally.lostEvents.includes(line)));
  }

  private async checkPlans(when: string): Promise<void> {
    await Promise.all(this.customers.map((customer) => customer.checkAccounts(when)));
  }

  private async advance(): Promise<void> {
    const response = await fetch(`${this.cloud.started.pageUrl}/stripe/advance`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ seconds: MONTH_SECONDS }),
    });
    if (!response.ok) throw new Error(`The page answered ${response.status} to advance`);
    await response.body?.cancel();
    for (const { accounts } of this.customers) for (const account of accounts) account.endPeriod();
  }

  /**
   * Starts as many containers as a run can need, and runs their code until their memory no longer grows. Otherwise new
   * containers and newly compiled code would count as growth.
   */
  private async fillContainers(): Promise<void> {
    const browser = new Browser(this.cloud.started);
    await browser.signIn(seededVip());
    await Promise.all(Array.from({ length: API_CALLS_AT_ONCE }, () => this.callApi(browser.tab)));
    await this.stack.invoke("reconciler");
    browser.close();
    const end = this.timeline.begin(["session", "worker chat", "vip chat"]);
    for (let round = 0; round < FILL_ROUNDS; round++) {
      await this.switches.llms(CHAIN.slice(0, round % (CHAIN.length + 1)), "overloaded");
      await Promise.all(this.fillers.map((filler) => filler.chatAtOnce(FILLERS.chatsAtOnce)));
      await this.switches.llms(CHAIN, "none");
    }
    end();
  }

  /**
   * Calls every route once. The answers do not matter: the customer has no subscription, and the event has no
   * signature.
   */
  private async callApi({ getIdToken, plan, sync, checkout, portal }: Client): Promise<void> {
    const { apiUrl, webhookUrl } = this.cloud.started;
    const { session, guest } = createApi({ apiUrl, getIdToken });
    const webhook = () => fetch(webhookUrl, { method: "POST", body: "{}" }).then((response) => response.text());
    await Promise.allSettled([session(), guest(), plan(), sync(), checkout("paid"), portal(), webhook()]);
  }

  /** Measures while no customer acts. */
  private async pausedMeasurement(): Promise<Measurement> {
    this.open = Promise.withResolvers();
    while (this.waiting < this.customers.length) await this.sleep(50);
    await this.fillContainers();
    await sleep(QUIET_MS);
    const measurement = await this.cloud.measure();
    this.open.resolve();
    return measurement;
  }

  private async gate(): Promise<void> {
    this.waiting++;
    await this.open.promise;
    this.waiting--;
  }

  private sleep(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.failed.signal }).catch(() => this.failed.signal.throwIfAborted());
  }

  private report(problem: string): void {
    this.tally.unexpectedErrors.push(`customers ${problem} at the end of the run`);
  }

  private state(): string {
    const { chats, excused, findings } = this.tally;
    const faults = this.active.length > 0 ? this.active.join(" + ") : "no fault";
    return `${chats} chats, ${excused} explained errors, ${findings} findings; now: ${faults}`;
  }
}

function seededVip() {
  const vip = seeded.find(({ label }) => label === "vip");
  if (!vip) throw new Error("There is no seeded customer of the plan vip");
  return vip;
}

function megabytes(before: Measurement, after: Measurement): Record<string, [number, number]> {
  const [old, now] = [averages(before.processes), averages(after.processes)];
  const round = (bytes = 0) => Math.round(bytes / 1e5) / 10;
  const names = [...new Set([...old.keys(), ...now.keys()])];
  return Object.fromEntries(names.map((name) => [name, [round(old.get(name)), round(now.get(name))]]));
}
