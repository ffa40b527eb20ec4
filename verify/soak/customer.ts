import { setTimeout as sleep } from "node:timers/promises";
import type { ChatDone, Client, PaidPlan, Plan, PlanInfo } from "../../client";
import { mamaReply } from "../../local/llm/mamaReply";
import { payAtCheckout, pressInPortal, WORKING_CARD } from "../../local/visitor/stripePages";
import type { Random } from "../chaos/random";
import { Account } from "./account";
import { Browser } from "./browser";
import type { SoakCloud } from "./cloud";
import type { Tally } from "./tally";
import type { Area } from "./timeline";

/** Pause of a customer between two actions, in milliseconds. */
const THINK_MS = { least: 300, most: 2_500 };
/** Time after which a customer leaves a chat. Most replies take longer. */
const STAY_MS = { least: 20, most: 400 };
/** Maximum number of accounts of one person. */
const MAX_ACCOUNTS = 3;
const DECLINED_CARD = "4000000000000002";

const questions = [
  "こんばんは",
  "ただいま。今日も疲れたよ。",
  "ママ、ありがとう。",
  "仕事の話を聞いてくれる？",
  "おすすめのお酒は？",
  "おやすみ、また来るね。",
];

/** Things that all customers of a run use. */
export interface Scene {
  cloud: SoakCloud;
  tally: Tally;
  /** Resolves when customers may act. The soak measures while this promise waits. */
  gate: () => Promise<void>;
  /** Whether customers stop after their current action. */
  isOver: () => boolean;
}

/** An action and its relative frequency. */
interface Choice {
  weight: number;
  act: () => Promise<void>;
}

/** A person with a browser, either a guest or signed in to one of several accounts. */
export class Customer {
  readonly accounts: Account[] = [];
  /** Undefined for a guest. */
  account: Account | undefined;
  private readonly browser: Browser;
  private readonly tally: Tally;

  constructor(
    private readonly name: string,
    private readonly scene: Scene,
    private readonly random: Random,
  ) {
    this.browser = new Browser(scene.cloud.started);
    this.tally = scene.tally;
  }

  /** Signs up, and buys a plan. */
  async join(plan: Plan): Promise<void> {
    await this.signUp();
    if (this.account && plan !== "free") await this.purchase(this.account, plan);
  }

  /** Sends chats at the same time. */
  async chatAtOnce(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.chat()));
  }

  /** Acts until the run is over. */
  async live(): Promise<void> {
    if (this.random.chance(0.7)) await this.signUp();
    while (!this.scene.isOver()) {
      await this.scene.gate();
      await this.choose().act();
      await sleep(this.random.between(THINK_MS.least, THINK_MS.most));
    }
  }

  /** Signs in to each account, and checks plan and chat. Call this method when no customer acts and no fault is on. */
  async checkAccounts(when: string): Promise<void> {
    for (const account of this.accounts) {
      await this.checked(`${account.credentials.email} ${when}`, ["session"], async () => {
        if (this.account !== account) await this.enter(account);
        this.account = account;
        this.browser.reload(1);
        this.comparePlan(await this.browser.tab.plan(), account, when);
      });
      await this.chat(this.browser.tab, account.plan);
    }
  }

  private choose(): Choice {
    const choices = this.account ? this.choicesOf(this.account) : this.guestChoices;
    let left = this.random.next() * choices.reduce((sum, { weight }) => sum + weight, 0);
    for (const choice of choices) {
      left -= choice.weight;
      if (left < 0) return choice;
    }
    throw new Error("The weights of the actions changed while an action was chosen");
  }

  private get guestChoices(): Choice[] {
    const [first] = this.accounts;
    return [
      { weight: 60, act: () => this.chat() },
      { weight: 8, act: () => this.leave() },
      { weight: 5, act: () => this.dropConnection() },
      { weight: 8, act: () => (this.accounts.length < MAX_ACCOUNTS ? this.signUp() : this.chat()) },
      { weight: first ? 20 : 0, act: () => this.signIn(this.random.pick(this.accounts)) },
    ];
  }

  private choicesOf(account: Account): Choice[] {
    const isBuyer = account.bought !== undefined && !account.disputed;
    return [
      { weight: 60, act: () => this.chat() },
      { weight: 8, act: () => this.leave() },
      { weight: 5, act: () => this.dropConnection() },
      { weight: 5, act: () => this.chatInTwoTabs() },
      { weight: 3, act: async () => this.browser.reload() },
      { weight: 4, act: () => this.refreshToken() },
      { weight: 4, act: () => this.readPlan(account) },
      { weight: 1, act: () => this.sync(account) },
      { weight: 1, act: () => this.signOut() },
      { weight: account.bought || account.disputed ? 0 : 10, act: () => this.buy(account) },
      { weight: isBuyer && !account.cancelled ? 4 : 0, act: () => this.changePlan(account) },
      { weight: isBuyer ? 2 : 0, act: () => this.pressPortal(account) },
      { weight: account.bought ? 0.7 : 0, act: () => this.dispute(account) },
    ];
  }

  private async signUp(): Promise<void> {
    const account = new Account();
    const { cloud } = this.scene;
    const { email } = account.credentials;
    await this.checked("signs up", ["session"], async () => {
      await this.browser.signUp(account.credentials, () => cloud.mailedCode(email));
      this.accounts.push(account);
      this.account = account;
    });
  }

  private async signIn(account: Account): Promise<void> {
    await this.checked("signs in", ["session"], () => this.enter(account));
  }

  private async enter(account: Account): Promise<void> {
    if (this.account) await this.browser.signOut();
    this.account = undefined;
    await this.browser.signIn(account.credentials);
    this.account = account;
  }

  private async signOut(): Promise<void> {
    await this.checked("signs out", ["session"], async () => {
      await this.browser.signOut();
      this.account = undefined;
    });
  }

  /** @param expected plan whose model must answer. Default: any */
  private async chat(tab: Client = this.browser.tab, expected?: Plan): Promise<void> {
    const asked = this.random.pick(questions);
    await this.checked(`chats (${asked})`, this.chatAreas(), async () => {
      let text = "";
      for await (const item of tab.chat({ text: asked })) {
        if ("delta" in item) text += item.delta;
        else if ("restart" in item) text = "";
        else if ("done" in item) this.checkReply(item, { asked, text, expected });
      }
    });
  }

  private checkReply(
    reply: ChatDone,
    { asked, text, expected = reply.model.plan }: { asked: string; text: string; expected: Plan | undefined },
  ): void {
    const { tally, scene } = this;
    tally.chats++;
    const whole = mamaReply(asked);
    const isWhole = scene.cloud.started.worker === "canned" || reply.text.replace(/（\w+）$/, "") === whole;
    if (reply.text !== text)
      tally.lostEvents.push(`${this.name}: the joined pieces "${text}" differ from the reply "${reply.text}"`);
    else if (!isWhole) tally.lostEvents.push(`${this.name}: the reply "${reply.text}" is not "${whole}"`);
    if (reply.model.plan !== expected)
      tally.wrongPlans.push(`${this.name}: the model of plan ${reply.model.plan} answered, expected plan ${expected}`);
  }

  private async chatInTwoTabs(): Promise<void> {
    if (this.browser.tabs.length < 2) this.browser.reload(2);
    await Promise.all(this.browser.tabs.map((tab) => this.chat(tab)));
  }

  /** Stops a reply, usually in the middle of it. */
  private async leave(): Promise<void> {
    const leaving = new AbortController();
    const timer = setTimeout(() => leaving.abort(), this.random.between(STAY_MS.least, STAY_MS.most));
    await this.checked("leaves a chat", this.chatAreas(), async () => {
      try {
        const { signal } = leaving;
        for await (const _ of this.browser.tab.chat({ text: this.random.pick(questions) }, { signal }));
      } catch (error) {
        if (!leaving.signal.aborted) throw error;
      }
    });
    clearTimeout(timer);
  }

  /** Loses the connection during a reply and asks again. Sends no cancellation to the relay. */
  private async dropConnection(): Promise<void> {
    await this.checked("loses the connection", this.chatAreas(), async () => {
      const { inference } = await this.browser.tab.session();
      const dropping = new AbortController();
      const response = await fetch(`${inference.url}/chat`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: inference.authorization },
        body: JSON.stringify({ text: this.random.pick(questions) }),
        signal: dropping.signal,
      });
      await response.body?.getReader().read();
      dropping.abort();
    });
    await this.chat();
  }

  /** Simulates a token that the API has rejected. The client must get a new token. All tabs ask at the same time. */
  private async refreshToken(): Promise<void> {
    await this.checked("refreshes the token", ["session"], async () => {
      const { tabs } = this.browser;
      const before = await this.browser.tab.getIdToken();
      const after = await Promise.all(tabs.map((tab) => tab.getIdToken(before)));
      if (after.some((token) => token === undefined || token === before))
        throw new Error("The client did not refresh the token");
    });
  }

  private async readPlan(account: Account): Promise<void> {
    await this.checked("reads the plan", ["session"], async () => {
      const info = await this.browser.tab.plan();
      if (account.synced) this.comparePlan(info, account, "after a sync");
    });
  }

  /** Makes the product read Stripe, like a return from Stripe's pages. */
  private async sync(account: Account): Promise<void> {
    await this.checked("syncs", ["billing"], async () => {
      this.comparePlan(await this.browser.tab.sync(), account, "at a sync");
      account.synced = true;
    });
  }

  private comparePlan({ plan, reason }: PlanInfo, account: Account, when: string): void {
    if (plan === account.plan) return;
    const { credentials, bought, disputed, cancelled } = account;
    const state = JSON.stringify({ bought, disputed, cancelled });
    this.tally.wrongPlans.push(
      `${credentials.email} ${when}: the plan is "${plan}" (reason "${reason}"), the customer's account is ${state}`,
    );
  }

  private async buy(account: Account): Promise<void> {
    await this.purchase(account, this.random.pick(["paid", "paid", "vip"]), { isDeclined: this.random.chance(0.2) });
  }

  /** @param isDeclined whether the customer first tries a card that Stripe declines */
  private async purchase(account: Account, plan: PaidPlan, { isDeclined = false } = {}): Promise<void> {
    await this.checked(`buys ${plan}`, ["billing"], async () => {
      const { url } = await this.browser.tab.checkout(plan);
      if (isDeclined && (await payAtCheckout(url, DECLINED_CARD))) throw new Error("Stripe accepted a declined card");
      if (!(await payAtCheckout(url, WORKING_CARD))) throw new Error("Stripe declined a working card");
      Object.assign(account, { bought: plan, cancelled: false, synced: false });
    });
    await this.sync(account);
  }

  private async changePlan(account: Account): Promise<void> {
    const plan = account.bought === "paid" ? "vip" : "paid";
    await this.checked(`changes to ${plan}`, ["billing"], async () => {
      const { url } = await this.browser.tab.portal(plan);
      if (await pressInPortal(url, "change")) Object.assign(account, { bought: plan, synced: false });
    });
    await this.sync(account);
  }

  /** Cancels the subscription, or withdraws the cancellation. */
  private async pressPortal(account: Account): Promise<void> {
    const button = account.cancelled ? "resume" : "cancel";
    await this.checked(`presses ${button} in the portal`, ["billing"], async () => {
      const { url } = await this.browser.tab.portal();
      if (!(await pressInPortal(url, button))) throw new Error(`The portal has no button ${button}`);
      Object.assign(account, { cancelled: !account.cancelled, synced: false });
    });
    await this.sync(account);
  }

  /** Disputes the payment at the bank, or ends the open dispute in the product's favor. */
  private async dispute(account: Account): Promise<void> {
    await this.checked("disputes", [], async () => {
      const userId = this.browser.tab.customer()?.sub;
      const [path, body] = account.disputed ? ["close-dispute", { userId, outcome: "won" }] : ["dispute", { userId }];
      const response = await fetch(`${this.scene.cloud.started.pageUrl}/stripe/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      await response.body?.cancel();
      // A payment can be disputed only once.
      if (response.ok) Object.assign(account, { disputed: !account.disputed, synced: false });
      else if (response.status !== 409) throw new Error(`The page answered ${response.status} to ${path}`);
    });
  }

  /**
   * Areas whose faults can disturb a chat. Until the product has read a change of the plan, the model of the old or the
   * new plan may answer.
   */
  private chatAreas(): Area[] {
    const { plan = "free", synced = true } = this.account ?? {};
    if (!synced) return ["session", "worker chat", "vip chat"];
    return ["session", plan === "vip" ? "vip chat" : "worker chat"];
  }

  /** Runs a part of an action, and judges an error of this part. */
  private async checked(action: string, areas: readonly Area[], run: () => Promise<void>): Promise<void> {
    const beganMs = performance.now();
    await run().catch((error: unknown) => this.tally.judge(error, `${this.name} ${action}`, areas, beganMs));
  }
}
