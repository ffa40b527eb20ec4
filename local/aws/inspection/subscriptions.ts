import { Hono } from "hono";
import { escapeXml, queryError, queryResponse } from "../sns/queryProtocol";
import { topic, topicSubscription } from "../sns/resources";
import type { AwsAccount, AwsResource } from "../support/account";

/** Largest number of subscriptions in one answer of SNS. */
const PAGE = 100;

/** SNS's API in its Query protocol: `ListSubscriptionsByTopic`. */
export function subscriptionsApi(account: AwsAccount): Hono {
  const app = new Hono();
  app.post("/", async (c) => {
    const form = new URLSearchParams(await c.req.text());
    const operation = form.get("Action");
    if (operation !== "ListSubscriptionsByTopic")
      return queryError(400, "InvalidAction", `The local cloud does not support ${operation}.`);
    const topicArn = form.get("TopicArn") ?? "";
    if (!account.get(topic.type, topicArn)) return queryError(404, "NotFound", "Topic does not exist");
    const all = account.list(topicSubscription.type).filter(({ outputs }) => outputs.topic === topicArn);
    const from = Number(form.get("NextToken") ?? 0);
    const members = all
      .slice(from, from + PAGE)
      .map(member)
      .join("");
    const next = from + PAGE < all.length ? `<NextToken>${from + PAGE}</NextToken>` : "";
    return queryResponse(operation, `<Subscriptions>${members}</Subscriptions>${next}`);
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
