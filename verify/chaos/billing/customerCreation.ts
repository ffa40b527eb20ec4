import Stripe from "stripe";
import { ApiError } from "../../../contract/errors";
import type { Caller } from "../../../functions/lib/identity";
import { ensureStripeCustomer } from "../../../functions/stripe/customer";
import type { UserRows } from "../../../functions/tables/userRows";
import { Random, streams } from "../random";

/** Probability that a run also simulates the first checkouts of a new customer. */
const CREATION_PROBABILITY = 0.2;
/**
 * Two probabilities during a problem at Stripe. The first: a request to create a customer fails. The second: a failed
 * request has created the customer anyway.
 */
const FAILURE_PROBABILITY = 0.6;
const MADE_ANYWAY_PROBABILITY = 0.3;
const WITHOUT_EMAIL_PROBABILITY = 0.2;
const OWNER = "snack-misaki/chaos";

type Rows = Pick<UserRows, "get" | "link" | "creationAttempt" | "findByStripeCustomer">;

/**
 * Returns the id of the caller's Stripe customer for a checkout. Creates the customer if necessary. Throws ApiError
 * `unavailable`.
 */
export type EnsureCustomer = (
  caller: Caller,
  sources: { stripe: Stripe; rows: Rows; owner: string },
) => Promise<string>;

/** Weaker strategy with two fixed idempotency keys. After two stored server errors, every checkout fails for a day. */
export const fixedIdempotencyKeys: EnsureCustomer = (caller, sources) => {
  const keys = ["first", "again"];
  const rows: Rows = {
    ...sources.rows,
    creationAttempt: async (_user, _now, failed) => keys[failed ? 1 : 0] ?? "",
  };
  return ensureStripeCustomer(caller, { ...sources, rows });
};

/**
 * Simulates concurrent first checkouts while Stripe sometimes answers 500 and stores these answers. Then simulates one
 * checkout after Stripe has recovered.
 *
 * @returns true when the last checkout failed, or when the row is linked to another customer. False in a run that does
 * not simulate a new customer
 */
export async function isLockedOut(seed: number, ensure: EnsureCustomer): Promise<boolean> {
  const random = new Random(seed, streams.creation);
  if (!random.chance(CREATION_PROBABILITY)) return false;
  const account = new Account(random);
  const rows = new OneRow();
  const caller: Caller = random.chance(WITHOUT_EMAIL_PROBABILITY)
    ? { userId: "user-1" }
    : { userId: "user-1", email: "user-1@example.com" };
  const checkout = () => ensure(caller, { stripe: account.client, rows, owner: OWNER });
  const failed = (error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
  };
  for (let requests = random.int(1, 4); requests > 0; requests -= 1)
    await Promise.all(Array.from({ length: random.int(1, 3) }, () => checkout().catch(failed)));
  account.isWell = true;
  return (await checkout().catch(failed)) !== rows.linked || rows.linked === undefined;
}

/** The customers of a Stripe account. */
class Account {
  isWell = false;
  private readonly customers: Stripe.Customer[] = [];
  /** Answers by idempotency key: a customer, or a failure. */
  private readonly kept = new Map<string, Stripe.Customer | "failure">();

  constructor(private readonly random: Random) {}

  /** The part of stripe-node that `ensureStripeCustomer` uses. */
  get client(): Stripe {
    const customers = {
      create: (params: Stripe.CustomerCreateParams, { idempotencyKey }: { idempotencyKey: string }) =>
        this.create(params, idempotencyKey),
      retrieve: async (id: string) => this.customers.find((one) => one.id === id),
      list: ({ email }: { email: string }) => {
        const found = this.customers.filter((one) => one.email === email);
        return Object.assign(this.soon({ object: "list" }), { [Symbol.asyncIterator]: () => found.values() });
      },
    };
    return { customers } as unknown as Stripe;
  }

  private async create({ email, metadata }: Stripe.CustomerCreateParams, key: string): Promise<Stripe.Customer> {
    await this.soon();
    const known = this.kept.get(key);
    const isFailed = known === undefined && !this.isWell && this.random.chance(FAILURE_PROBABILITY);
    if (known === "failure" || (isFailed && !this.random.chance(MADE_ANYWAY_PROBABILITY))) {
      this.kept.set(key, "failure");
      throw serverError(known === "failure");
    }
    if (known) return known;
    const id = `cus_${this.customers.length + 1}`;
    const customer = { object: "customer", id, email: email ?? null, metadata } as unknown as Stripe.Customer;
    this.customers.push(customer);
    this.kept.set(key, isFailed ? "failure" : customer);
    if (isFailed) throw serverError(false);
    return this.soon(customer);
  }

  /** Resolves after one to five microtasks. */
  private async soon<T>(value?: T): Promise<T> {
    for (let steps = this.random.int(1, 5); steps > 0; steps -= 1) await null;
    return value as T;
  }
}

function serverError(isReplayed: boolean): Error {
  return new Stripe.errors.StripeAPIError({
    type: "api_error",
    message: "An unknown error occurred.",
    statusCode: 500,
    headers: isReplayed ? { "idempotent-replayed": "true" } : {},
  });
}

/** The row of one user in memory. Mirrors the conditions of `functions/tables/userRows.ts`. */
class OneRow implements Rows {
  linked: string | undefined;
  private attempt: string | undefined;
  private attempts = 0;

  get = async (userId: string) => ({ user_id: userId, ...(this.linked && { stripe_customer_id: this.linked }) });

  findByStripeCustomer = async () => undefined;

  link = async (_userId: string, customer: string, _now: Date, replacing = customer) => {
    if (this.linked === undefined || this.linked === replacing) this.linked = customer;
    return this.linked;
  };

  creationAttempt = async (_userId: string, _now: Date, failed?: string) => {
    if (this.attempt === undefined || this.attempt === failed) {
      this.attempts += 1;
      this.attempt = `attempt-${this.attempts}`;
    }
    return this.attempt;
  };
}
