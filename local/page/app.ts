import { ApiProblem, createApi, createSignIn, type PlanInfo } from "../../client";
import { type BackRoom, startBackRoom } from "./backRoom";
import { type Comeback, comebackOf, greeting, startBilling } from "./billing";
import { listCalls } from "./calls";
import type { PageConfig } from "./config";
import { byId, language, say, speak } from "./dom";
import { type Seat, showSeat, showTicket } from "./seat";
import { startTalk } from "./talk";
import { type Language, languages, type Word } from "./words";

const LANGUAGE = "snack-misaki.language";
const RETRY_MS = 700;

/** One of the page's three faces. */
function show(face: "opening" | "door" | "counter"): void {
  document.body.dataset.face = face;
}

function chooseLanguage(next: Language): void {
  localStorage.setItem(LANGUAGE, next);
  speak(next);
  byId("line", HTMLTextAreaElement).placeholder = byId("ask-label", HTMLElement).textContent ?? "";
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
}

/** The program's outputs, as soon as it has been evaluated. */
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
  let backRoom: BackRoom | undefined;
  listCalls((event) => backRoom?.heard(event));

  const config = await loadConfig();
  byId("stack", HTMLElement).textContent = `stack ${config.stack}`;
  byId("notice", HTMLElement).hidden = !config.canned;

  const signIn = createSignIn({ ...config.auth, storage: sessionStorage });
  const api = createApi({ apiUrl: config.apiUrl, getIdToken: signIn.getIdToken });
  let seat: Seat | undefined;
  let readings = 0;

  const talk = startTalk({
    session: () => seated().session,
    async renew() {
      const session = await (seated().customer ? api.session() : api.guest());
      sit({ ...seated(), session });
      // A deadline has passed, or an event has come: the panel must not tell of another plan than the chat has.
      if (seat?.plan && seat.plan.plan !== session.plan) planMayHaveChanged();
      return session;
    },
    toDoor: () => toDoor(),
  });
  const billing = startBilling({ api, sync: () => readPlan(api.sync), toDoor: (word) => toDoor(word) });

  function sit(next: Seat): void {
    seat = next;
    showSeat(next);
    talk.limit(next.session.limits);
    if (next.customer) billing.show(next.plan);
    else billing.hide();
    backRoom?.open(next.customer?.sub);
  }

  /** Reads the plan and shows it, with a new session where the chat's is for another plan. */
  async function readPlan(read: () => Promise<PlanInfo>): Promise<void> {
    const reading = ++readings;
    // A later reading knows better, and the customer may have left.
    const isOver = () => reading !== readings || !seat?.customer;
    const plan = await read();
    if (isOver()) return;
    const session = plan.plan === seated().session.plan ? undefined : await api.session();
    if (!isOver()) sit({ ...seated(), plan, ...(session && { session }) });
  }

  function planMayHaveChanged(): void {
    if (seat?.customer) void readPlan(api.plan).catch(() => undefined);
  }
  backRoom = startBackRoom(planMayHaveChanged);

  function seated(): Seat {
    if (!seat) throw new ApiProblem("unauthorized", "Nobody is seated.");
    return seat;
  }

  function tell(word: Word | undefined): void {
    const told = byId("told", HTMLElement);
    told.hidden = word === undefined;
    if (word) say(told, word);
    for (const id of ["sign-in", "guest"]) byId(id, HTMLButtonElement).disabled = word === "entering";
  }

  function toDoor(word?: Word): void {
    talk.end();
    seat = undefined;
    billing.hide();
    backRoom?.open(undefined);
    tell(word);
    show("door");
  }

  /** Runs a way in; a problem is told at the door. */
  async function enter(way: () => Promise<Seat>): Promise<void> {
    show("door");
    tell("entering");
    try {
      const taken = await way();
      show("counter");
      talk.begin(taken.session.limits);
      sit(taken);
      tell(undefined);
    } catch (error) {
      const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
      // Tokens the API does not take any more would be tried again at every visit.
      if (problem.code === "unauthorized") await signIn.signOut();
      toDoor(problem.code);
    }
  }

  async function asCustomer(synced?: PlanInfo): Promise<Seat> {
    // The plan is for show: without it the customer can still talk.
    const [session, plan] = await Promise.all([api.session(), synced ?? api.plan().catch(() => undefined)]);
    const customer = signIn.customer();
    return { session, ...(plan && { plan }), ...(customer && { customer }) };
  }

  /** Whoever comes back from Stripe is faster than its events may be: Stripe is asked first, then for a session. */
  async function comeBack(comeback: Comeback): Promise<void> {
    let synced: PlanInfo | undefined;
    await enter(async () => {
      synced = await api.sync().catch(() => undefined);
      return asCustomer(synced);
    });
    if (!seat) return;
    billing.tell(greeting(comeback, synced));
    // On a phone the talk fills the screen.
    byId("billing", HTMLElement).scrollIntoView({ block: "nearest" });
  }

  byId("sign-in", HTMLButtonElement).addEventListener("click", async () => {
    tell("entering");
    location.assign(await signIn.startSignIn());
  });
  byId("guest", HTMLButtonElement).addEventListener("click", () => enter(async () => ({ session: await api.guest() })));
  byId("leave", HTMLButtonElement).addEventListener("click", async () => {
    if (seat?.customer) location.assign(await signIn.signOut());
    else toDoor();
  });
  setInterval(() => {
    if (seat) showTicket(seat.session);
  }, 1_000);

  const comeback = comebackOf(new URL(location.href).searchParams);
  // A reload is no second comeback.
  if (comeback) history.replaceState(null, "", location.pathname);

  if (location.pathname === "/callback") {
    const callbackUrl = location.href;
    // The code is for one use: a reload must not send it again.
    history.replaceState(null, "", "/");
    await enter(async () => {
      await signIn.finishSignIn(callbackUrl);
      return asCustomer();
    });
  } else if (signIn.customer()) {
    await (comeback ? comeBack(comeback) : enter(asCustomer));
  } else {
    toDoor();
  }
}

void main();
