import { Hono } from "hono";
import { topic, topicSubscription } from "../sns/resources";
import type { AwsAccount, AwsResource } from "../support/account";

const XML = { "content-type": "text/xml" };
const NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/";
/** Subscriptions that SNS returns at once. */
const PAGE = 100;

/** SNS's API in its Query protocol: `ListSubscriptionsByTopic`. */
export function subscriptionsApi(account: AwsAccount): Hono {
  const app = new Hono();
  app.post("/", async (c) => {
    const form = new URLSearchParams(await c.req.text());
    const operation = form.get("Action");
    if (operation !== "ListSubscriptionsByTopic")
      return c.body(error("InvalidAction", `The local cloud does not support ${operation}.`), 400, XML);
    const topicArn = form.get("TopicArn") ?? "";
    if (!account.get(topic.type, topicArn)) return c.body(error("NotFound", "Topic does not exist"), 404, XML);
    const all = account.list(topicSubscription.type).filter(({ outputs }) => outputs.topic === topicArn);
    const from = Number(form.get("NextToken") ?? 0);
    const members = all
      .slice(from, from + PAGE)
      .map(member)
      .join("");
    const next = from + PAGE < all.length ? `<NextToken>${from + PAGE}</NextToken>` : "";
    const result = `<Subscriptions>${members}</Subscriptions>${next}`;
    return c.body(
      `<${operation}Response xmlns="${NAMESPACE}"><${operation}Result>${result}</${operation}Result></${operation}Response>`,
      200,
      XML,
    );
  });
  return app;
}

function member({ id, outputs }: AwsResource): string {
  // SNS shows this text in place of the ARN until the subscriber has confirmed.
  const arn = outputs.pendingConfirmation === true ? "PendingConfirmation" : id;
  const fields = {
    TopicArn: outputs.topic,
    Protocol: outputs.protocol,
    SubscriptionArn: arn,
    Endpoint: outputs.endpoint,
  };
  const xml = Object.entries(fields).map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`);
  return `<member>${xml.join("")}</member>`;
}

function error(code: string, message: string): string {
  const body = `<Type>Sender</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message>`;
  return `<ErrorResponse xmlns="${NAMESPACE}"><Error>${body}</Error></ErrorResponse>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
