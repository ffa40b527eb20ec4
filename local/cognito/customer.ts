import { uuidOf } from "./uuid";

/** Someone who can sign in to every local pool. There is no sign-up: customers are seeded. */
export interface Customer {
  email: string;
  password: string;
  /** UUID, the same in every pool. Default: derived from the e-mail address, so that it survives a reset. */
  sub?: string;
  /** Name on the sign-in page and in events. */
  label: string;
}

/** A customer with `sub`. The `sub` is also the `cognito:username`, as in pools with sign-in by e-mail. */
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

  /** Finds a customer by `sub`. */
  bySub(sub: string): KnownCustomer | undefined {
    return this.all.find((customer) => customer.sub === sub);
  }

  /** Finds a customer by e-mail address. */
  byEmail(email: string, { caseSensitive }: { caseSensitive: boolean }): KnownCustomer | undefined {
    const nameOf = (text: string) => (caseSensitive ? text : text.toLowerCase());
    return this.all.find((customer) => nameOf(customer.email) === nameOf(email.trim()));
  }
}
