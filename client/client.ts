import { type Api, createApi } from "./api";
import { type Chat, type ChatOptions, isFresh, startChat } from "./chat";
import { ApiProblem } from "./problem";
import { createSignIn, type SignIn, type SignInEvent, type SignInOptions } from "./signIn";
import { connectTabs, createListeners } from "./tabs";
import type { ChatInput, Plan, Session } from "./types";

type UserPlan = Pick<Session, "user_id" | "plan">;

/** Settings of `createClient`, from the stack outputs `apiUrl` and `signIn`, and the frontend's own URLs. */
export interface ClientOptions extends SignInOptions {
  /** Base URL of the auth and billing API: the stack output `apiUrl`. */
  apiUrl: string;
}

/** A change of the signed-in customer or of the customer's plan, in this tab or in another tab. */
export type ClientEvent = SignInEvent | { type: "planChanged"; plan: Plan };

/** Sign-in, session, chat and billing of one frontend. Every method throws `ApiProblem`. */
export interface Client extends Omit<SignIn, "subscribe">, Omit<Api, "session" | "guest"> {
  /**
   * Returns the session of the signed-in customer, or a guest's session when nobody is signed in. Opens a session at the
   * first call, when the ticket expires, and when the plan has changed.
   */
  session(): Promise<Session>;
  /**
   * Sends a message to the assistant and yields the reply as it arrives. This method opens and renews the session. A
   * customer's chat never continues as the chat of another customer or of a guest.
   *
   * @throws ApiProblem, or the signal's reason; see the function `chat`
   */
  chat(input: ChatInput, options?: Omit<ChatOptions, "renew">): Chat;
  /** Calls the listener at every event. Returns a function that removes the listener. */
  subscribe(listener: (event: ClientEvent) => void): () => void;
}

/**
 * Creates the client of a frontend. Create one client for the whole page. On a server, nobody is signed in.
 *
 * @example
 * const misaki = createClient({ apiUrl, ...signIn, redirectUri, logoutUri });
 * for await (const item of misaki.chat({ text: "こんばんは" })) if ("delta" in item) show(item.delta);
 */
export function createClient({ apiUrl, ...options }: ClientOptions): Client {
  const { timeoutMs, clientId } = options;
  const signIn = createSignIn(options);
  const api = createApi({ apiUrl, getIdToken: signIn.getIdToken, timeoutMs });
  const listeners = createListeners<ClientEvent>();
  const tellTabs = connectTabs(`snack-misaki.plan.${clientId}`, onMessage);
  let opening: { sub: string | undefined; session: Promise<Session> } | undefined;
  let kept: Session | undefined;
  let known: UserPlan | undefined;
  let reads = 0;
  let newest = 0;

  signIn.subscribe(listeners.emit);

  /** Stores the plan that the API or another tab has reported. Notifies the listeners when the plan has changed. */
  function learn(told: UserPlan): void {
    const before = known;
    known = told;
    if (before?.plan === told.plan) return;
    // A session request from before the change may return the old plan.
    opening = undefined;
    if (before?.user_id === told.user_id) listeners.emit({ type: "planChanged", plan: told.plan });
  }

  function onMessage(message: unknown): void {
    const told = message as UserPlan;
    if (known?.user_id !== told.user_id || known.plan === told.plan) return;
    // An answer to an earlier request of this tab may be older than the change. So `read` ignores that answer.
    newest = reads + 1;
    learn(told);
  }

  /** Reads the plan. Does not store an answer that arrives after the answer to a later call. */
  async function read<T extends UserPlan>(call: () => Promise<T>): Promise<T> {
    const order = ++reads;
    const answer = await call();
    if (order >= newest) {
      newest = order;
      const told = { user_id: answer.user_id, plan: answer.plan };
      // This tab may have just returned from Stripe. Such a tab knows no earlier plan, but the other tabs do.
      tellTabs(told);
      learn(told);
    }
    return answer;
  }

  /** Opens a session. Concurrent callers share one session. */
  function open(sub: string | undefined): Promise<Session> {
    if (opening?.sub === sub && opening) return opening.session;
    const session = read(sub === undefined ? api.guest : api.session)
      .then((opened) => (kept = opened))
      .finally(() => {
        if (opening?.session === session) opening = undefined;
      });
    opening = { sub, session };
    return session;
  }

  async function session(): Promise<Session> {
    const sub = signIn.customer()?.sub;
    if (kept && isFresh(kept) && customerIdOf(kept) === sub && kept.plan === known?.plan) return kept;
    return open(sub);
  }

  async function renew(rejected: Session): Promise<Session> {
    const next = await open(customerIdOf(rejected));
    if (customerIdOf(next) === customerIdOf(rejected)) return next;
    throw new ApiProblem("unauthorized", "Another customer has signed in.");
  }

  return {
    ...signIn,
    ...api,
    session,
    chat: (input, chatOptions = {}) => startChat(session, input, { ...chatOptions, renew }),
    plan: () => read(api.plan),
    sync: () => read(api.sync),
    subscribe: listeners.subscribe,
  };
}

/** The customer's `sub`. Undefined for a guest. */
function customerIdOf({ user_id }: Session): string | undefined {
  return user_id.startsWith("guest:") ? undefined : user_id;
}
