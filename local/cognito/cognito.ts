import { join } from "node:path";
import type { AwsAccount } from "../aws/support/account";
import type { Events } from "../support/events";
import { type Listening, listen, serve } from "../support/http";
import { type Customer, Customers, type Email } from "./customers";
import { Directory } from "./directory";
import { domainListener } from "./domain";
import { idpApp } from "./idp";
import { stockKeys } from "./keys";
import { Pools } from "./pools";
import { userPoolApi } from "./userPoolApi";

export type { Customer, Email } from "./customers";

/** The running double. */
export interface CognitoDouble {
  /** Origin of the hosted domain of every pool. */
  domainUrl: string;
  /** Origin used instead of `https://cognito-idp.<region>.amazonaws.com`. */
  idpUrl: string;
  close(): Promise<void>;
}

/**
 * Starts Amazon Cognito for the user pools of the local account: their hosted domain (sign-in page and OAuth endpoints)
 * and the issuer's keys. Pools, app clients, domains and brandings are read from the account at each request.
 *
 * @param options.dir folder of keys, sessions and refresh tokens, which survive a restart
 * @param options.ports 0 selects a free port
 * @param options.customers customers who exist from the start and can sign in to every pool
 * @param options.deliver receives each e-mail with a code. Default: no e-mail is delivered
 * @throws PortInUseError
 */
export async function startCognito(options: {
  account: AwsAccount;
  dir: string;
  ports: { domain: number; idp: number };
  customers: Customer[];
  events: Events;
  deliver?: (email: Email) => void;
}): Promise<CognitoDouble> {
  const { events, dir, ports } = options;
  stockKeys();
  const directory = new Directory(options.account);
  const customers = new Customers(options.customers, join(dir, "users.db"), options.deliver ?? (() => {}));
  const pools = new Pools({ directory, customers, events, dir });

  const domain = await listen(
    "Cognito hosted domain",
    ports.domain,
    domainListener(directory, pools, customers, events),
  );
  let idp: Listening;
  try {
    const app = idpApp(directory, pools, () => ({ idp: idp.url, domain: domain.url }));
    app.route("/", userPoolApi(options.account, directory, customers, events));
    idp = await serve("Cognito issuer", ports.idp, app.fetch);
  } catch (error) {
    await domain.close();
    throw error;
  }
  return {
    domainUrl: domain.url,
    idpUrl: idp.url,
    close: async () => {
      await Promise.all([domain.close(), idp.close()]);
      pools.close();
      customers.close();
    },
  };
}
