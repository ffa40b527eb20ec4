import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Events } from "../../support/events";
import { type Listening, serve } from "../../support/http";
import { denial } from "../iam/callers";
import type { AwsAccount, AwsResource } from "../support/account";
import type { Effects } from "../support/resource";
import { FilterPolicy, passes } from "./filterPolicy";
import { queryError, queryResponse } from "./queryProtocol";
import { topic, topicSubscription } from "./resources";

const ATTEMPTS = 3;
const RETRY_MS = 200;
const TIMEOUT_MS = 15_000;
/** ASCII without control characters, up to 100 of them (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html). */
const SUBJECT = /^([!-~][ -~]{0,98})?$/;

/** A message that a subscriber has received. */
export interface Delivery {
  protocol: string;
  endpoint: string;
  subject: string;
  message: string;
}

/**
 * Topics of SNS. An e-mail is a line in the list of events. A webhook is really called, and gets messages only after it
 * has confirmed its subscription, as at AWS. Unlike AWS, the messages have no signature, an e-mail address confirms by
 * itself, and a webhook that does not answer gets three attempts.
 */
export class Topics {
  readonly effects: Effects = {
    create: async ({ id, outputs }) => {
      await this.subscribe(id, outputs);
      return { pendingConfirmation: !this.confirmed.has(id) };
    },
    delete: async ({ id }) => void this.confirmed.delete(id),
  };
  /** Messages that the subscribers have received, the oldest first. */
  readonly deliveries: Delivery[] = [];
  /** Ids of the confirmed subscriptions. The account file keeps them as outputs of the subscriptions. */
  private readonly confirmed = new Set<string>();
  /** Subscriptions by the token of their confirmation. */
  private readonly tokens = new Map<string, string>();

  private constructor(
    private readonly account: AwsAccount,
    private readonly events: Events,
    private readonly api: { listening?: Listening },
  ) {
    for (const { id, outputs } of account.list(topicSubscription.type)) {
      if (!outputs.pendingConfirmation) this.confirmed.add(id);
    }
  }

  /** Starts the service with the address that confirms subscriptions and accepts messages. */
  static async start(account: AwsAccount, events: Events): Promise<Topics> {
    const api: { listening?: Listening } = {};
    const topics = new Topics(account, events, api);
    api.listening = await serve("SNS", 0, (request) =>
      request.method === "POST" ? topics.serveApi(request) : topics.confirm(new URL(request.url).searchParams),
    );
    return topics;
  }

  /** Base URL of the API, which has only `Publish`. */
  get url(): string {
    return this.api.listening?.url ?? "";
  }

  /** Sends a message to the confirmed subscribers of a topic. */
  async publish(topicArn: string, { subject, message }: { subject: string; message: string }): Promise<void> {
    if (this.account.get(topic.type, topicArn) === undefined) {
      this.events.emit({ source: "sns", summary: `message dropped: no topic ${topicArn}` });
      return;
    }
    const subscriptions = this.account.list(topicSubscription.type).filter(({ outputs }) => outputs.topic === topicArn);
    await Promise.all(subscriptions.map((subscription) => this.deliver(subscription, subject, message)));
  }

  /** Stops the service. */
  async close(): Promise<void> {
    await this.api.listening?.close();
  }

  private async subscribe(id: string, { protocol, endpoint, topic }: AwsResource["outputs"]): Promise<void> {
    if (protocol === "email") {
      this.setConfirmed(id);
      this.events.emit({ source: "sns", summary: `mail to ${endpoint}: subscription confirmed` });
      return;
    }
    const token = randomUUID();
    this.tokens.set(token, id);
    const query = new URLSearchParams({ Action: "ConfirmSubscription", TopicArn: String(topic), Token: token });
    const SubscribeURL = `${this.api.listening?.url}/?${query}`;
    await this.post(String(endpoint), "SubscriptionConfirmation", { TopicArn: topic, Token: token, SubscribeURL });
  }

  private async serveApi(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text());
    const [operation, arn, message] = ["Action", "TopicArn", "Message"].map((name) => form.get(name) ?? "");
    if (operation !== "Publish")
      return queryError(400, "InvalidAction", `The local cloud does not support ${operation} here.`);
    const authorization = request.headers.get("authorization") ?? undefined;
    const refused = denial(this.account, authorization, () => [{ action: "sns:Publish", resource: arn ?? "" }]);
    if (refused) return queryError(403, "AuthorizationError", refused);
    if (!this.account.get(topic.type, arn ?? "")) return queryError(404, "NotFound", "Topic does not exist");
    if (!message) return queryError(400, "InvalidParameter", "Invalid parameter: Empty message");
    const subject = form.get("Subject") ?? "";
    if (!SUBJECT.test(subject)) return queryError(400, "InvalidParameter", "Invalid parameter: Subject");
    await this.publish(arn ?? "", { subject, message });
    return queryResponse(operation, `<MessageId>${randomUUID()}</MessageId>`);
  }

  private confirm(query: URLSearchParams): Response {
    const id = this.tokens.get(query.get("Token") ?? "");
    if (query.get("Action") !== "ConfirmSubscription" || id === undefined) return new Response("", { status: 400 });
    this.setConfirmed(id);
    return new Response(`<SubscriptionArn>${id}</SubscriptionArn>`, { headers: { "content-type": "text/xml" } });
  }

  /** Confirms a subscription, which may not be in the account yet. */
  private setConfirmed(id: string): void {
    this.confirmed.add(id);
    const subscription = this.account.get(topicSubscription.type, id);
    if (!subscription) return;
    this.account.put({ ...subscription, outputs: { ...subscription.outputs, pendingConfirmation: false } });
  }

  private async deliver({ id, outputs }: AwsResource, subject: string, message: string): Promise<void> {
    if (!this.confirmed.has(id)) return;
    const { protocol, endpoint, topic, filterPolicy } = outputs;
    if (filterPolicy && !passes(FilterPolicy.parse(JSON.parse(String(filterPolicy))), message)) return;
    if (protocol === "email") this.events.emit({ source: "sns", summary: `mail to ${endpoint}: ${subject}` });
    else if (
      !(await this.post(String(endpoint), "Notification", { TopicArn: topic, Subject: subject, Message: message }))
    )
      return;
    this.deliveries.push({ protocol: String(protocol), endpoint: String(endpoint), subject, message });
  }

  /** Calls a webhook. False when it did not answer with a status of 2xx. */
  private async post(endpoint: string, type: string, body: object): Promise<boolean> {
    const message = { Type: type, MessageId: randomUUID(), Timestamp: new Date().toISOString(), ...body };
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const response = await fetch(endpoint, {
        method: "POST",
        // SNS sends JSON with this content type.
        headers: { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": type },
        body: JSON.stringify(message),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch(() => undefined);
      await response?.body?.cancel();
      // The URL may contain the pager's key.
      this.events.emit({ source: "sns", summary: `${type} to the webhook → ${response?.status ?? "no answer"}` });
      if (response?.ok) return true;
      if (attempt < ATTEMPTS) await sleep(RETRY_MS, undefined, { ref: false });
    }
    return false;
  }
}
