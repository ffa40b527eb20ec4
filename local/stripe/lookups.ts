import type Stripe from "stripe";
import type { Ledger } from "./ledger";
import { invalid, missing } from "./problem";
import type { Kind, Objects } from "./state";

/** Paging parameters of a list. */
interface Page {
  limit?: number | undefined;
  starting_after?: string | undefined;
  ending_before?: string | undefined;
}

/** Returns a page of the matching objects, newest first. */
export function list<K extends Kind>(
  ledger: Ledger,
  kind: K,
  url: string,
  { limit = 10, starting_after, ending_before }: Page,
  keep: (object: Objects[K]) => boolean = () => true,
): object {
  const all = ledger.all(kind).filter(keep).reverse();
  const place = (id: string, param: string) => {
    const at = all.findIndex((one) => one.id === id);
    if (at < 0) throw missing(kind.replace(/^.*\./, ""), id, param);
    return at;
  };
  const from = starting_after === undefined ? 0 : place(starting_after, "starting_after") + 1;
  const to = ending_before === undefined ? all.length : place(ending_before, "ending_before");
  const window = all.slice(from, to);
  const data = ending_before === undefined ? window.slice(0, limit) : window.slice(-limit);
  return { object: "list", data, has_more: window.length > data.length, url };
}

/** Returns a customer that is not deleted. */
export function liveCustomer(ledger: Ledger, id: string, param = "customer"): Stripe.Customer {
  const customer = ledger.get("customer", id, param);
  if (customer.deleted) throw missing("customer", id, param);
  return customer;
}

/** Returns a price that a subscription can use. */
export function recurringPrice(ledger: Ledger, id: string, param: string): Stripe.Price {
  return activePrice(ledger, id, param, "recurring");
}

/** Returns a price that a one-time purchase can use. */
export function oneTimePrice(ledger: Ledger, id: string, param: string): Stripe.Price {
  return activePrice(ledger, id, param, "one_time");
}

function activePrice(ledger: Ledger, id: string, param: string, type: "recurring" | "one_time"): Stripe.Price {
  const price = ledger.get("price", id, param);
  if (!price.active) throw invalid("The price specified is inactive. This field only accepts active prices.", param);
  if (price.type !== type)
    throw invalid(
      `The price specified is set to \`type=${price.type}\` but this field only accepts prices with \`type=${type}\`.`,
      param,
    );
  return price;
}
