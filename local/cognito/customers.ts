import { randomUUID } from "node:crypto";
import { JsonProtocolError } from "../aws/jsonProtocol";
import { StateStore } from "../support/stateStore";
import { type CodePurpose, checkCode, expiredCode, newCode, type SentCode, wrongCode } from "./codes";
import type { AppClient, PoolRules } from "./directory";
import { hashPassword, isPassword, requirePassword } from "./password";
import { uuidOf } from "./uuid";

/** A customer who exists from the start and can sign in to every local pool. */
export interface Customer {
  email: string;
  password: string;
  /** UUID, the same in every pool. Default: derived from the e-mail address, so that the UUID survives a reset. */
  sub?: string;
  /** Name on the sign-in page and in events. */
  label: string;
}

/** A user of the local pools. The `sub` is also the `cognito:username`, as in pools with sign-in by e-mail. */
export interface KnownCustomer {
  sub: string;
  email: string;
  label: string;
  status: "CONFIRMED" | "UNCONFIRMED";
  /** Milliseconds since the epoch. */
  createdAt: number;
  passwordHash: string;
  /** The newest code. */
  sent?: SentCode;
}

/** An e-mail that Cognito would send. */
export interface Email {
  to: string;
  purpose: CodePurpose;
  code: string;
}

/** Masked address to which Cognito has sent a code, in the form of its API. */
export interface CodeDelivery {
  CodeDeliveryDetails: { Destination: string; DeliveryMedium: "EMAIL"; AttributeName: "email" };
}

/** An app client with the rules of its pool. */
export interface Caller {
  client: AppClient;
  rules: PoolRules;
}

/** Creation time of the customers who exist from the start. */
const SEEDED_AT = 1_700_000_000_000;
const EMAIL = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;

/**
 * Users of all local pools. All pools share them, so that the same customers can use every stack. A sign-up adds a
 * user. Users survive a restart. The methods for sign-up and password reset throw Cognito's errors as
 * JsonProtocolError.
 */
export class Customers {
  private readonly store: StateStore<{ users: Record<string, KnownCustomer> }>;
  private readonly seededSubs: readonly string[];

  /**
   * @param path file of the state
   * @param deliver receives each e-mail, because the local cloud sends no e-mail
   */
  constructor(
    seeded: readonly Customer[],
    path: string,
    private readonly deliver: (email: Email) => void,
  ) {
    // A user in the file replaces the seeded user with the same `sub`, because the file may contain a new password.
    const users = Object.fromEntries(seeded.map(seededUser));
    this.seededSubs = Object.keys(users);
    this.store = new StateStore(path, { users });
  }

  /** All users, confirmed or not. */
  get all(): readonly KnownCustomer[] {
    return Object.values(this.store.data.users);
  }

  /** The users who exist from the start. They can sign in without a password. */
  get seeded(): readonly KnownCustomer[] {
    return this.all.filter(({ sub }) => this.seededSubs.includes(sub));
  }

  /** Finds a user by `sub`. */
  bySub(sub: string): KnownCustomer | undefined {
    return this.store.data.users[sub];
  }

  /** Finds a user by e-mail address. */
  byEmail(email: string, { caseSensitive }: Pick<PoolRules, "caseSensitive">): KnownCustomer | undefined {
    const nameOf = (text: string) => (caseSensitive ? text : text.toLowerCase());
    return this.all.find((customer) => nameOf(customer.email) === nameOf(email.trim()));
  }

  /** Finds a user by e-mail address and password. The user may be unconfirmed. */
  byPassword(email: string, password: string, rules: PoolRules): KnownCustomer | undefined {
    const customer = this.byEmail(email, rules);
    return customer && isPassword(password, customer.passwordHash) ? customer : undefined;
  }

  /** Creates an unconfirmed user and sends a code. */
  signUp({ rules }: Caller, email: string, password: string): KnownCustomer & CodeDelivery {
    if (!rules.allowsSignUp)
      throw new JsonProtocolError("NotAuthorizedException", "SignUp is not permitted for this user pool");
    const address = email.trim();
    if (!EMAIL.test(address)) throw invalid("Username should be an email.");
    requirePassword(password, rules.passwordPolicy);
    if (this.byEmail(address, rules)) throw new JsonProtocolError("UsernameExistsException", "User already exists");
    const customer: KnownCustomer = {
      sub: randomUUID(),
      email: address,
      label: address,
      status: "UNCONFIRMED",
      createdAt: Date.now(),
      passwordHash: hashPassword(password),
    };
    this.store.data.users[customer.sub] = customer;
    return { ...customer, ...this.send(customer, "confirmSignUp") };
  }

  /** Sends a new code to an unconfirmed user. Earlier codes are no longer valid. */
  resendCode({ client, rules }: Caller, email: string): CodeDelivery {
    const customer = this.byEmail(email, rules);
    if (!customer) return simulatedDelivery(client, email);
    if (customer.status === "CONFIRMED") throw invalid("User is already confirmed.");
    return this.send(customer, "confirmSignUp");
  }

  /** Confirms a user with the code. */
  confirmSignUp({ client, rules }: Caller, email: string, code: string): KnownCustomer {
    const customer = this.byEmail(email, rules);
    if (!customer) throw client.hidesUsers ? expiredCode() : userNotFound();
    if (customer.status === "CONFIRMED")
      throw new JsonProtocolError("NotAuthorizedException", "User cannot be confirmed. Current status is CONFIRMED");
    this.useCode(customer, "confirmSignUp", code);
    customer.status = "CONFIRMED";
    return this.saved(customer);
  }

  /** Sends a code with which the user can set a new password. */
  forgotPassword({ client, rules }: Caller, email: string): CodeDelivery {
    const customer = this.byEmail(email, rules);
    if (!customer) return simulatedDelivery(client, email);
    if (customer.status !== "CONFIRMED")
      throw invalid("Cannot reset password for the user as there is no registered/verified email or phone_number");
    return this.send(customer, "resetPassword");
  }

  /** Sets a new password with the code. A weak password does not use up the code. */
  resetPassword({ client, rules }: Caller, email: string, code: string, password: string): KnownCustomer {
    const customer = this.byEmail(email, rules);
    if (!customer) throw client.hidesUsers ? wrongCode() : userNotFound();
    requirePassword(password, rules.passwordPolicy);
    this.useCode(customer, "resetPassword", code);
    customer.passwordHash = hashPassword(password);
    return this.saved(customer);
  }

  /** Closes the state's file. */
  close(): void {
    this.store.close();
  }

  private send(customer: KnownCustomer, purpose: CodePurpose): CodeDelivery {
    customer.sent = newCode(purpose);
    this.saved(customer);
    this.deliver({ to: customer.email, purpose, code: customer.sent.code });
    return deliveryTo(customer.email);
  }

  private useCode(customer: KnownCustomer, purpose: CodePurpose, code: string): void {
    try {
      checkCode(customer.sent, purpose, code);
      delete customer.sent;
    } finally {
      this.saved(customer);
    }
  }

  private saved(customer: KnownCustomer): KnownCustomer {
    this.store.save("users", customer.sub);
    return customer;
  }
}

function seededUser({ email, password, label, sub = uuidOf(email.toLowerCase()) }: Customer): [string, KnownCustomer] {
  const passwordHash = hashPassword(password);
  return [sub, { sub, email, label, status: "CONFIRMED", createdAt: SEEDED_AT, passwordHash }];
}

/** Answer for an unknown user. The client's settings decide whether the answer shows that the user does not exist. */
function simulatedDelivery({ hidesUsers }: AppClient, email: string): CodeDelivery {
  if (!hidesUsers) throw userNotFound();
  return deliveryTo(email);
}

/** Cognito masks the address: `m***@e***`. */
function deliveryTo(email: string): CodeDelivery {
  const Destination = email.replace(/^(.)[^@]*@(.).*$/, "$1***@$2***");
  return { CodeDeliveryDetails: { Destination, DeliveryMedium: "EMAIL", AttributeName: "email" } };
}

function userNotFound(): JsonProtocolError {
  return new JsonProtocolError("UserNotFoundException", "Username/client id combination not found.");
}

function invalid(message: string): JsonProtocolError {
  return new JsonProtocolError("InvalidParameterException", message);
}
