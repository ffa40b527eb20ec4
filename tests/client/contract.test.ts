import { describe, expect, it } from "vitest";
import type * as z from "zod/mini";
import {
  type ChatInput,
  type ChatItem,
  fitConversation,
  type PaidPlan,
  type PlanInfo,
  type Redirect,
  type Session,
} from "../../client";
import { problemInBody } from "../../client/problem";
import { problemCodes } from "../../client/types";
import { ApiError, type ErrorCode, errorCodes } from "../../contract/errors";
import { CheckoutRequest, PlanResponse, RedirectResponse } from "../../contract/plan";
import { SessionResponse } from "../../contract/session";
import { StreamItem, WorkerInput } from "../../contract/worker";
import { doneItem, sessionFor } from "./fakes";

// What the server may answer must fit what the client reads, and what the client sends must fit what the server takes:
// `tsc` fails on the line that does not.
const _session = (answer: z.infer<typeof SessionResponse>) => answer satisfies Session;
const _plan = (answer: z.infer<typeof PlanResponse>) => answer satisfies PlanInfo;
const _redirect = (answer: RedirectResponse) => answer satisfies Redirect;
const _checkout = (plan: PaidPlan) => ({ plan }) satisfies z.infer<typeof CheckoutRequest>;
const _item = (answer: z.infer<typeof StreamItem>) => answer satisfies ChatItem;
const _input = (input: ChatInput) => ({ ...input, ticket: "t" }) satisfies z.infer<typeof WorkerInput>;
const _codes = (code: ErrorCode) => code satisfies (typeof problemCodes)[number];

describe("the client's types", () => {
  it("know every error code of the registry, and read its body", () => {
    expect([...problemCodes].sort()).toEqual(Object.keys(errorCodes).sort());
    for (const code of problemCodes) {
      const { body } = new ApiError(code);
      expect(problemInBody(JSON.parse(JSON.stringify(body)))).toMatchObject(body.error);
    }
  });

  it("are what the schemas accept", () => {
    const session: Session = sessionFor("http://localhost:4101");
    expect(SessionResponse.parse(session)).toEqual(session);

    const plan: PlanInfo = {
      user_id: "user-1",
      plan: "free",
      stripe_status: null,
      expires_at: null,
      updated_at: "2026-11-22T00:00:00Z",
      reason: "no_record",
      limits: session.limits,
    };
    expect(PlanResponse.parse(plan)).toEqual(plan);
    const unpaid: PlanInfo = {
      ...plan,
      plan: "paid",
      stripe_status: "past_due",
      expires_at: "2026-11-29T00:00:00Z",
      reason: "grace",
      grace_until: "2026-11-29T00:00:00Z",
      cancel_at: "2026-12-22T00:00:00Z",
    };
    expect(PlanResponse.parse(unpaid)).toEqual(unpaid);

    const sold: PaidPlan[] = ["paid", "vip"];
    for (const plan of sold) expect(CheckoutRequest.parse({ plan })).toEqual({ plan });
    const redirect: Redirect = { url: "https://checkout.stripe.com/c/pay/cs_test_1" };
    expect(RedirectResponse.parse(redirect)).toEqual(redirect);

    const inputs: ChatInput[] = [
      { text: "こんばんは" },
      {
        messages: [{ role: "user", content: "こんばんは" }],
        params: { max_tokens: 64, seed: 1 },
        stream: false,
        request_id: "r1",
      },
    ];
    for (const input of inputs) expect(WorkerInput.parse({ ...input, ticket: "t" })).toEqual({ ...input, ticket: "t" });

    const items: ChatItem[] = [{ delta: "あら" }, doneItem("あら")];
    for (const item of items) expect(StreamItem.safeParse(item).success).toBe(true);
  });
});

describe("fitting a conversation to the limits", () => {
  const limits = { max_tokens: 64, max_messages: 3, max_input_chars: 5 };
  const user = (content: string) => ({ role: "user" as const, content });
  const mama = (content: string) => ({ role: "assistant" as const, content });

  it("keeps the newest messages and begins with the user's turn", () => {
    const all = [user("1"), mama("2"), user("3"), mama("4"), user("5")];
    expect(fitConversation(all, limits)).toEqual([user("3"), mama("4"), user("5")]);
    expect(fitConversation(all, { ...limits, max_messages: 2 })).toEqual([user("5")]);
  });

  it("cuts Mama's long replies between characters, and never the user's words", () => {
    expect(fitConversation([user("123456"), mama("1234🍶")], limits)).toEqual([user("123456"), mama("1234")]);
  });
});
