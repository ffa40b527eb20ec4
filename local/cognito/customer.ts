import { uuidOf } from "./uuid";

/** Someone who can sign in to every local pool. There is no sign-up: customers are seeded. */
export interface Customer {
  email: string;
  password: string;
  /** UUID, the same in every pool. Left out, it follows from the e-mail address, so it is the same after a fresh start. */
  sub?: string;
  /** What the sign-in page and the events call them. */
  label: string;
}

/** A customer with their `sub`, which is also their `cognito:username`, as in pools that sign in by e-mail. */
export type KnownCustomer = Customer & { sub: string };

/** The seeded customers. */
export class Customers {
  readonly all: readonly KnownCustomer[];

  constructor(customers: readonly Customer[]) {
    this.all = customers.map((customer) => ({
      ...customer,
      sub: customer.sub ?? uuidOf(customer.email.toLowerCase()),
    }));
  }

  /** The customer of a `sub`. */
  bySub(sub: string): KnownCustomer | undefined {
    return this.all.find((customer) => customer.sub === sub);
  }

  /** The customer of an e-mail address, in any case: pools that sign in by e-mail are case-insensitive. */
  byEmail(email: string): KnownCustomer | undefined {
    return this.all.find((customer) => customer.email.toLowerCase() === email.trim().toLowerCase());
  }
}
