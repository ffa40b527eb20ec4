import {
  type Api,
  ApiProblem,
  type ChatItem,
  type ChatMessage,
  chat,
  createApi,
  createSignIn,
  fitConversation,
  type PlanInfo,
  type Session,
  type SignIn,
} from "../../client";
import type { CloudEvent } from "../support/events";
import { type Billing, greeting, type StripeReturn, startBilling, stripeReturnOf } from "./billing";
import { listCalls } from "./calls";
import { type ChatView, startChatView } from "./chatView";
import type { PageConfig } from "./config";
import { Conversation, GUEST } from "./conversation";
import { byId, language, setLanguage, setText } from "./dom";
import { Drawer } from "./drawer";
import { type Language, languages, type Word } from "./translations";
import { showTicket, showVisitor, type Visitor } from "./visitor";

const LANGUAGE = "snack-misaki.language";
const RETRY_MS = 700;

/** Shows one of the page's three views. */
function show(face: "opening" | "door" | "counter"): void {
  document.body.dataset.face = face;
}

function chooseLanguage(next: Language): void {
  localStorage.setItem(LANGUAGE, next);
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
  private readonly signIn: SignIn;
  private readonly api: Api;
  private readonly chat: ChatView;
  private readonly billing: Billing;
  private readonly drawer: Drawer;
  private readonly conversation = new Conversation();
  private visitor: Visitor | undefined;
  private planReads = 0;

  constructor(config: PageConfig) {
    this.signIn = createSignIn({ ...config.auth, storage: localStorage });
    this.api = createApi({ apiUrl: config.apiUrl, getIdToken: this.signIn.getIdToken });
    this.chat = startChatView({
      conversation: this.conversation,
      waitLimitMs: config.waitLimitMs,
      send: (messages, signal) => this.send(messages, signal),
      showEntrance: (word) => this.showEntrance(word),
    });
    this.billing = startBilling({
      api: this.api,
      offers: config.offers,
      sync: () => this.readPlan(this.api.sync),
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

    if (location.pathname === "/callback") {
      const callbackUrl = location.href;
      // A code is valid once, so a reload must not send it again.
      history.replaceState(null, "", "/");
      await this.enter(async () => {
        await this.signIn.finishSignIn(callbackUrl);
        return this.asCustomer();
      });
    } else if (this.signIn.customer()) {
      await (returned ? this.returnFromStripe(returned) : this.enter(() => this.asCustomer()));
    } else if (this.conversation.isGuests) {
      // A guest has reloaded the page.
      await this.enter(() => this.asGuest());
    } else {
      this.showEntrance();
    }
  }

  /** Handles a backend event. */
  onEvent(event: CloudEvent): void {
    this.drawer.onEvent(event);
  }

  private addListeners(): void {
    for (const id of ["sign-in", "seat-sign-in"]) {
      byId(id, HTMLButtonElement).addEventListener("click", async () => {
        showMessage("entering");
        location.assign(await this.signIn.startSignIn());
      });
    }
    byId("guest", HTMLButtonElement).addEventListener("click", () => this.enter(() => this.asGuest()));
    byId("leave", HTMLButtonElement).addEventListener("click", async () => {
      const isCustomer = this.visitor?.customer !== undefined;
      this.leave();
      if (isCustomer) location.assign(await this.signIn.signOut());
    });
    // The customer may have changed the plan in another tab, or while the machine was offline.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.refreshPlan();
    });
    addEventListener("online", () => {
      byId("offline", HTMLElement).hidden = true;
      this.refreshPlan();
    });
    // Another tab has changed the sign-in.
    window.addEventListener("storage", () => {
      const { customer } = this.visitor ?? {};
      if (customer && this.signIn.customer()?.sub !== customer.sub) location.reload();
    });
    setInterval(() => {
      if (this.visitor) showTicket(this.visitor.session);
    }, 1_000);
  }

  private async *send(messages: ChatMessage[], signal: AbortSignal): AsyncGenerator<ChatItem, void, void> {
    const { session } = this.currentVisitor();
    const input = { messages: fitConversation(messages, session.limits) };
    try {
      yield* chat(session, input, { signal, renew: () => this.renewSession() });
    } catch (error) {
      // Only after a failure: the local cloud also answers a machine without a network.
      byId("offline", HTMLElement).hidden = navigator.onLine;
      throw error;
    }
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
    this.drawer.setCustomer(next.customer?.sub);
  }

  private async renewSession(): Promise<Session> {
    const session = await (this.currentVisitor().customer ? this.api.session() : this.api.guest());
    this.setVisitor({ ...this.currentVisitor(), session });
    // A deadline or an event has changed the plan. The panel must show the same plan as the session.
    if (this.visitor?.plan && this.visitor.plan.plan !== session.plan) this.refreshPlan();
    return session;
  }

  /** Reads and shows the plan. Opens a new session if the plan differs from the session's. */
  private async readPlan(read: () => Promise<PlanInfo>): Promise<void> {
    const planRead = ++this.planReads;
    // Ignore this answer when a later read has started or the customer has left.
    const isStale = () => planRead !== this.planReads || !this.visitor?.customer;
    const plan = await read();
    if (isStale()) return;
    const session = plan.plan === this.currentVisitor().session.plan ? undefined : await this.api.session();
    if (!isStale()) this.setVisitor({ ...this.currentVisitor(), plan, ...(session && { session }) });
  }

  private refreshPlan(): void {
    if (this.visitor?.customer) void this.readPlan(this.api.plan).catch(() => undefined);
  }

  /** Ends the visit and forgets its conversation. */
  private leave(): void {
    this.conversation.clear();
    this.showEntrance();
  }

  /** Shows the entrance. A customer who signs in again finds the conversation. */
  private showEntrance(word?: Word): void {
    this.chat.end();
    this.visitor = undefined;
    this.billing.hide();
    this.drawer.setCustomer(undefined);
    byId("seat-facts", HTMLElement).hidden = true;
    showMessage(word);
    show("door");
  }

  /** Runs a sign-in. Shows a problem on the entrance view. */
  private async enter(signIn: () => Promise<Visitor>): Promise<void> {
    show("door");
    showMessage("entering");
    try {
      const visitor = await signIn();
      show("counter");
      this.conversation.open(visitor.customer?.sub ?? GUEST);
      this.chat.begin(visitor.session.limits);
      this.setVisitor(visitor);
      showMessage(undefined);
    } catch (error) {
      const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
      // Sign out, because the page would otherwise send the rejected tokens at every visit.
      if (problem.code === "unauthorized") await this.signIn.signOut();
      this.showEntrance(problem.code);
    }
  }

  private async asGuest(): Promise<Visitor> {
    return { session: await this.api.guest() };
  }

  private async asCustomer(synced?: PlanInfo): Promise<Visitor> {
    // The page only displays the plan, so the customer can chat even when the plan cannot be read.
    const [session, plan] = await Promise.all([this.api.session(), synced ?? this.api.plan().catch(() => undefined)]);
    const customer = this.signIn.customer();
    return { session, ...(plan && { plan }), ...(customer && { customer }) };
  }

  /**
   * Handles a customer's return from Stripe. The customer may arrive earlier than Stripe's events, so this method syncs
   * with Stripe before it opens a session.
   */
  private async returnFromStripe(returned: StripeReturn): Promise<void> {
    let synced: PlanInfo | undefined;
    await this.enter(async () => {
      synced = await this.api.sync().catch(() => undefined);
      return this.asCustomer(synced);
    });
    if (!this.visitor) return;
    this.billing.showMessage(greeting(returned, synced));
    // On a phone the chat fills the screen, so scroll to the billing panel.
    byId("billing", HTMLElement).scrollIntoView({ block: "nearest" });
  }
}

function showMessage(word: Word | undefined): void {
  const message = byId("message", HTMLElement);
  message.hidden = word === undefined;
  if (word) setText(message, word);
  for (const id of ["sign-in", "guest"]) byId(id, HTMLButtonElement).disabled = word === "entering";
}

async function main(): Promise<void> {
  const kept = localStorage.getItem(LANGUAGE);
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
