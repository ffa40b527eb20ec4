import { ApiProblem, createApi, createSignIn, type PlanInfo } from "../../client";
import { greeting, type StripeReturn, startBilling, stripeReturnOf } from "./billing";
import { listCalls } from "./calls";
import { startChatView } from "./chatView";
import type { PageConfig } from "./config";
import { byId, language, setLanguage, setText } from "./dom";
import { type Drawer, startDrawer } from "./drawer";
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

async function main(): Promise<void> {
  const kept = localStorage.getItem(LANGUAGE);
  chooseLanguage(languages.find((known) => known === kept) ?? (navigator.language.startsWith("ja") ? "ja" : "en"));
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.addEventListener("click", () => chooseLanguage(button.dataset.language as Language));
  }
  let drawer: Drawer | undefined;
  listCalls((event) => drawer?.onEvent(event));

  const config = await loadConfig();
  byId("stack", HTMLElement).textContent = `stack ${config.stack}`;
  byId("notice", HTMLElement).hidden = !config.canned;

  const signIn = createSignIn({ ...config.auth, storage: sessionStorage });
  const api = createApi({ apiUrl: config.apiUrl, getIdToken: signIn.getIdToken });
  let visitor: Visitor | undefined;
  let readings = 0;

  const talk = startChatView({
    session: () => currentVisitor().session,
    async renew() {
      const session = await (currentVisitor().customer ? api.session() : api.guest());
      setVisitor({ ...currentVisitor(), session });
      // The plan changed by a deadline or an event. The panel must show the same plan as the chat's session.
      if (visitor?.plan && visitor.plan.plan !== session.plan) planMayHaveChanged();
      return session;
    },
    showEntrance: () => showEntrance(),
  });
  const billing = startBilling({ api, sync: () => readPlan(api.sync), showEntrance: (word) => showEntrance(word) });

  function setVisitor(next: Visitor): void {
    visitor = next;
    showVisitor(next);
    talk.limit(next.session.limits);
    if (next.customer) billing.show(next.plan);
    else billing.hide();
    drawer?.open(next.customer?.sub);
  }

  /** Reads and shows the plan. Opens a new session if the plan differs from the session's. */
  async function readPlan(read: () => Promise<PlanInfo>): Promise<void> {
    const reading = ++readings;
    // Ignore this answer when a later read has started or the customer has left.
    const isOver = () => reading !== readings || !visitor?.customer;
    const plan = await read();
    if (isOver()) return;
    const session = plan.plan === currentVisitor().session.plan ? undefined : await api.session();
    if (!isOver()) setVisitor({ ...currentVisitor(), plan, ...(session && { session }) });
  }

  function planMayHaveChanged(): void {
    if (visitor?.customer) void readPlan(api.plan).catch(() => undefined);
  }
  drawer = startDrawer(planMayHaveChanged);

  function currentVisitor(): Visitor {
    if (!visitor) throw new ApiProblem("unauthorized", "There is no visitor.");
    return visitor;
  }

  function showMessage(word: Word | undefined): void {
    const message = byId("message", HTMLElement);
    message.hidden = word === undefined;
    if (word) setText(message, word);
    for (const id of ["sign-in", "guest"]) byId(id, HTMLButtonElement).disabled = word === "entering";
  }

  function showEntrance(word?: Word): void {
    talk.end();
    visitor = undefined;
    billing.hide();
    drawer?.open(undefined);
    showMessage(word);
    show("door");
  }

  /** Runs a sign-in; shows a problem on the entrance view. */
  async function enter(way: () => Promise<Visitor>): Promise<void> {
    show("door");
    showMessage("entering");
    try {
      const taken = await way();
      show("counter");
      talk.begin(taken.session.limits);
      setVisitor(taken);
      showMessage(undefined);
    } catch (error) {
      const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
      // Otherwise rejected tokens would be tried at every visit.
      if (problem.code === "unauthorized") await signIn.signOut();
      showEntrance(problem.code);
    }
  }

  async function asCustomer(synced?: PlanInfo): Promise<Visitor> {
    // The plan is only displayed. Without it the customer can still chat.
    const [session, plan] = await Promise.all([api.session(), synced ?? api.plan().catch(() => undefined)]);
    const customer = signIn.customer();
    return { session, ...(plan && { plan }), ...(customer && { customer }) };
  }

  /** A customer may return from Stripe before its events arrive. Sync first, then open a session. */
  async function returnFromStripe(returned: StripeReturn): Promise<void> {
    let synced: PlanInfo | undefined;
    await enter(async () => {
      synced = await api.sync().catch(() => undefined);
      return asCustomer(synced);
    });
    if (!visitor) return;
    billing.showMessage(greeting(returned, synced));
    // On a phone the talk fills the screen.
    byId("billing", HTMLElement).scrollIntoView({ block: "nearest" });
  }

  byId("sign-in", HTMLButtonElement).addEventListener("click", async () => {
    showMessage("entering");
    location.assign(await signIn.startSignIn());
  });
  byId("guest", HTMLButtonElement).addEventListener("click", () => enter(async () => ({ session: await api.guest() })));
  byId("leave", HTMLButtonElement).addEventListener("click", async () => {
    if (visitor?.customer) location.assign(await signIn.signOut());
    else showEntrance();
  });
  setInterval(() => {
    if (visitor) showTicket(visitor.session);
  }, 1_000);

  const returned = stripeReturnOf(new URL(location.href).searchParams);
  // A reload must not show the message again.
  if (returned) history.replaceState(null, "", location.pathname);

  if (location.pathname === "/callback") {
    const callbackUrl = location.href;
    // The code is for one use: a reload must not send it again.
    history.replaceState(null, "", "/");
    await enter(async () => {
      await signIn.finishSignIn(callbackUrl);
      return asCustomer();
    });
  } else if (signIn.customer()) {
    await (returned ? returnFromStripe(returned) : enter(asCustomer));
  } else {
    showEntrance();
  }
}

void main();
