import {
  ApiProblem,
  type ChatItem,
  type ChatMessage,
  type Client,
  type ClientEvent,
  createClient,
  fitConversation,
  type PlanInfo,
} from "@snack-misaki/client";
import type { CloudEvent } from "../support/events";
import { type Billing, greeting, type StripeReturn, startBilling, stripeReturnOf } from "./billing";
import { listCalls } from "./calls";
import { type ChatView, startChatView } from "./chatView";
import type { PageConfig } from "./config";
import { Conversation, GUEST } from "./conversation";
import { byId, language, setLanguage, setText } from "./dom";
import { Drawer } from "./drawer";
import { tryStorage } from "./storage";
import { type Language, languages, type Word } from "./translations";
import { showTicket, showVisitor, type Visitor } from "./visitor";

const LANGUAGE = "snack-misaki.language";
const RETRY_MS = 700;

/** Shows one of the page's three views. */
function show(face: "opening" | "door" | "counter"): void {
  document.body.dataset.face = face;
}

function chooseLanguage(next: Language): void {
  tryStorage(() => localStorage.setItem(LANGUAGE, next));
  setLanguage(next);
  byId("line", HTMLTextAreaElement).placeholder = byId("ask-label", HTMLElement).textContent ?? "";
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
}

/** Waits for the program's outputs. */
async function loadConfig(): Promise<PageConfig> {
  for (;;) {
    const response = await fetch("/config.json", { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    if (response?.ok) return (await response.json()) as PageConfig;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** The page's application. It starts when the outputs of the Pulumi program exist. */
class App {
  private readonly client: Client;
  private readonly chat: ChatView;
  private readonly billing: Billing;
  private readonly drawer: Drawer;
  private readonly conversation = new Conversation();
  private visitor: Visitor | undefined;
  /**
   * Number of entries and of returns to the entrance so far. A new entry or return ends an entry that is still in
   * progress.
   */
  private moves = 0;
  private isFinishingSignIn = false;
  private planReads = 0;
  private runningReads = 0;

  constructor(config: PageConfig) {
    this.client = createClient({ apiUrl: config.apiUrl, ...config.auth });
    this.client.subscribe((event) => this.onClientEvent(event));
    this.chat = startChatView({
      conversation: this.conversation,
      waitLimitMs: config.waitLimitMs,
      send: (messages, signal) => this.send(messages, signal),
      showEntrance: (word) => this.showEntrance(word),
    });
    this.billing = startBilling({
      api: this.client,
      offers: config.offers,
      sync: () => this.readPlan(this.client.sync),
      showEntrance: (word) => this.showEntrance(word),
    });
    this.drawer = new Drawer(() => this.refreshPlan());
    this.addListeners();
  }

  /** Signs in with the callback's code, restores the sign-in, or shows the entrance. */
  async open(): Promise<void> {
    const returned = stripeReturnOf(new URL(location.href).searchParams);
    // A reload must not show the message again.
    if (returned) history.replaceState(null, "", location.pathname);

    if (location.pathname === "/callback") await this.enter(() => this.finishSignIn());
    else if (this.client.customer()) await (returned ? this.returnFromStripe(returned) : this.enterAsCustomer());
    // The visitor is a guest who has reloaded the page.
    else if (this.conversation.isGuests) await this.enterAsGuest();
    else this.showEntrance();
  }

  /** Handles a backend event. */
  onEvent(event: CloudEvent): void {
    this.drawer.onEvent(event);
  }

  /** Handles an event of the client, which can come from another tab. */
  private onClientEvent(event: ClientEvent): void {
    if (event.type === "planChanged") this.onPlanChange();
    else if (event.type === "signedOut") this.leave();
    else if (event.type === "sessionLost") this.showEntrance("unauthorized");
    // During a sign-in by the callback, the callback itself enters afterwards.
    else if (!this.isFinishingSignIn && event.customer.sub !== this.visitor?.customer?.sub) void this.enterAsCustomer();
  }

  private addListeners(): void {
    for (const id of ["sign-in", "seat-sign-in"]) {
      byId(id, HTMLButtonElement).addEventListener("click", () => this.startSignIn());
    }
    byId("guest", HTMLButtonElement).addEventListener("click", () => this.enterAsGuest());
    byId("leave", HTMLButtonElement).addEventListener("click", async () => {
      if (this.visitor?.customer) location.assign(await this.client.signOut());
      else this.leave();
    });
    // The customer may have changed the plan on another page, or while the machine was offline.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.refreshPlan();
    });
    addEventListener("online", () => {
      byId("offline", HTMLElement).hidden = true;
      this.refreshPlan();
    });
    setInterval(() => {
      if (this.visitor) showTicket(this.visitor.session);
    }, 1_000);
  }

  private async startSignIn(): Promise<void> {
    showMessage("entering");
    try {
      location.assign(await this.client.startSignIn({ lang: language() }));
    } catch (error) {
      this.showEntrance(problemOf(error).code);
    }
  }

  private async finishSignIn(): Promise<Visitor> {
    this.isFinishingSignIn = true;
    try {
      await this.client.finishSignIn(location.href);
    } catch (error) {
      // Without an answer, the code is still valid. A reload sends the code again.
      if (problemOf(error).retryable) throw error;
      history.replaceState(null, "", "/");
      // A failed sign-in does not end an earlier sign-in, such as a sign-in in another tab.
      if (!this.client.customer()) throw error;
    } finally {
      this.isFinishingSignIn = false;
    }
    history.replaceState(null, "", "/");
    return this.asCustomer();
  }

  private async *send(messages: ChatMessage[], signal: AbortSignal): AsyncGenerator<ChatItem, void, void> {
    const { limits } = this.currentVisitor().session;
    try {
      const reply = this.client.chat({ messages: fitConversation(messages, limits) }, { signal });
      for await (const item of reply) {
        yield item;
        if ("done" in item) void this.showSession();
      }
    } catch (error) {
      // The note appears only after a failure, because the local cloud also works on a machine without a network.
      byId("offline", HTMLElement).hidden = navigator.onLine;
      throw error;
    }
  }

  /** Shows the present session of the client. A chat may have renewed the session. */
  private async showSession(): Promise<void> {
    const session = await this.client.session().catch(() => undefined);
    if (session && this.visitor?.session.user_id === session.user_id) this.setVisitor({ ...this.visitor, session });
  }

  private currentVisitor(): Visitor {
    if (!this.visitor) throw new ApiProblem("unauthorized", "There is no visitor.");
    return this.visitor;
  }

  private setVisitor(next: Visitor): void {
    this.visitor = next;
    showVisitor(next);
    this.chat.limit(next.session.limits);
    if (next.customer) this.billing.show(next.plan);
    else this.billing.hide();
    this.drawer.setVisitor(next.customer?.sub, next.session.user_id);
  }

  /** Reads and shows the plan and its session. */
  private async readPlan(read: () => Promise<PlanInfo>): Promise<void> {
    const planRead = ++this.planReads;
    this.runningReads++;
    const { plan, session } = await this.readBoth(read).finally(() => this.runningReads--);
    // Ignore this answer when a later read has started or the customer has left.
    if (planRead !== this.planReads || this.visitor?.customer?.sub !== plan.user_id) return;
    this.setVisitor({ ...this.visitor, plan, session });
  }

  private async readBoth(read: () => Promise<PlanInfo>) {
    const plan = await read();
    return { plan, session: await this.client.session() };
  }

  /**
   * Shows a change of the plan, unless a read of the plan is in progress. Such a read shows the plan itself, together
   * with a message.
   */
  private onPlanChange(): void {
    if (this.runningReads === 0) this.refreshPlan();
  }

  private refreshPlan(): void {
    if (this.visitor?.customer) void this.readPlan(this.client.plan).catch(() => undefined);
  }

  /** Ends the visit and forgets its conversation. */
  private leave(): void {
    this.conversation.clear();
    this.showEntrance();
  }

  /** Shows the entrance. A customer who signs in again finds the conversation. */
  private showEntrance(word?: Word): void {
    this.moves++;
    this.chat.end();
    this.visitor = undefined;
    this.billing.hide();
    this.drawer.setVisitor(undefined, undefined);
    byId("seat-facts", HTMLElement).hidden = true;
    showMessage(word);
    show("door");
  }

  /**
   * Runs an entry. Shows a problem on the entrance view, but does not sign out, because the API can also refuse a valid
   * sign-in. The client itself removes a sign-in that Cognito no longer accepts.
   */
  private async enter(openVisit: () => Promise<Visitor>): Promise<void> {
    const move = ++this.moves;
    show("door");
    showMessage("entering");
    try {
      const visitor = await openVisit();
      if (move === this.moves) this.showCounter(visitor);
    } catch (error) {
      if (move === this.moves) this.showEntrance(problemOf(error).code);
    }
  }

  private showCounter(visitor: Visitor): void {
    show("counter");
    const continues = this.conversation.open(visitor.customer?.sub ?? GUEST);
    this.chat.begin(visitor.session.limits, continues);
    this.setVisitor(visitor);
    showMessage(undefined);
  }

  private enterAsGuest(): Promise<void> {
    // After a failed entry, the customer is still signed in, and the client has no guest session.
    if (this.client.customer()) return this.enterAsCustomer();
    return this.enter(async () => ({ session: await this.client.session() }));
  }

  private enterAsCustomer(): Promise<void> {
    return this.enter(() => this.asCustomer());
  }

  private async asCustomer(synced?: PlanInfo): Promise<Visitor> {
    // The page only displays the plan, so the customer can chat even when the plan cannot be read.
    const plan = synced ?? (await this.client.plan().catch(() => undefined));
    const customer = this.client.customer();
    // Meanwhile the client has lost the sign-in. It would open a guest session.
    if (!customer) throw new ApiProblem("unauthorized", "The customer is no longer signed in.");
    const session = await this.client.session();
    return { customer, session, ...(plan?.user_id === customer.sub && { plan }) };
  }

  /**
   * Handles a customer's return from Stripe. The customer may arrive earlier than Stripe's events, so this method syncs
   * with Stripe before it opens a session.
   */
  private async returnFromStripe(returned: StripeReturn): Promise<void> {
    let synced: PlanInfo | undefined;
    await this.enter(async () => {
      synced = await this.client.sync().catch(() => undefined);
      return this.asCustomer(synced);
    });
    if (!this.visitor) return;
    this.billing.showMessage(greeting(returned, synced));
    // On a phone the chat fills the screen, so scroll to the billing panel.
    byId("billing", HTMLElement).scrollIntoView({ block: "nearest" });
  }
}

function problemOf(error: unknown): ApiProblem {
  return error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
}

function showMessage(word: Word | undefined): void {
  const message = byId("message", HTMLElement);
  message.hidden = word === undefined;
  if (word) setText(message, word);
  for (const id of ["sign-in", "guest"]) byId(id, HTMLButtonElement).disabled = word === "entering";
}

async function main(): Promise<void> {
  const kept = tryStorage(() => localStorage.getItem(LANGUAGE));
  chooseLanguage(languages.find((known) => known === kept) ?? (navigator.language.startsWith("ja") ? "ja" : "en"));
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.addEventListener("click", () => chooseLanguage(button.dataset.language as Language));
  }
  let app: App | undefined;
  listCalls((event) => app?.onEvent(event));
  const config = await loadConfig();
  byId("stack", HTMLElement).textContent = `stack ${config.stack}`;
  byId("notice", HTMLElement).hidden = !config.canned;
  app = new App(config);
  await app.open();
}

void main();
