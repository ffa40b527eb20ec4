import { describe, expect, expectTypeOf, it } from "vitest";
import type * as z from "zod/mini";
import type {
  ChatDelta,
  ChatDone,
  ChatInput,
  ChatItem,
  ChatRestart,
  ChatWaiting,
  Limits,
  PaidPlan,
  Plan,
  PlanInfo,
  ProblemCode,
  Redirect,
  Session,
} from "../../client";
import { problemFromBody, retryableByCode } from "../../client/problem";
import { ApiError, type ErrorCode, errorCodes } from "../../contract/errors";
import {
  CheckoutRequest,
  type Limits as ContractLimits,
  type PaidPlan as ContractPaidPlan,
  type Plan as ContractPlan,
  PlanResponse,
  RedirectResponse,
} from "../../contract/plan";
import { RelayItem } from "../../contract/relay";
import { SessionResponse } from "../../contract/session";
import { StreamItem, WorkerInput } from "../../contract/worker";
import { doneItem, sessionFor } from "./fakes";
import { relayDone } from "./relayServer";

type TextInput = Extract<ChatInput, { text: string }>;
type MessagesInput = Extract<ChatInput, { messages: unknown }>;
/** The types of all fields, with `undefined` removed from optional fields. */
type Fields<T> = { [Name in keyof T]-?: Exclude<T[Name], undefined> };
type ContractDone = Extract<RelayItem, { done: true }>;
type ContractFailure = Extract<RelayItem, { error: unknown }>;
/** Fields of the final item that only the relay sends, or that differ between the relay and the worker. */
type OpenFields = "model" | "provider" | "id" | "attempts" | "restarted";

// `tsc` checks these assertions. A field that only one side adds, removes or changes is a compile error.
describe("The client's types", () => {
  it("equal the contract's types of plans and limits", () => {
    expectTypeOf<Plan>().toEqualTypeOf<ContractPlan>();
    expectTypeOf<PaidPlan>().toEqualTypeOf<ContractPaidPlan>();
    expectTypeOf<Limits>().toEqualTypeOf<ContractLimits>();
  });

  it("equal the contract's response types, but allow any string as a model or reason", () => {
    expectTypeOf<Omit<Session, "model">>().toEqualTypeOf<Omit<SessionResponse, "model">>();
    expectTypeOf<SessionResponse>().toExtend<Session>();
    expectTypeOf<Omit<PlanInfo, "reason">>().toEqualTypeOf<Omit<PlanResponse, "reason">>();
    expectTypeOf<PlanResponse>().toExtend<PlanInfo>();
    expectTypeOf<Redirect>().toEqualTypeOf<RedirectResponse>();
  });

  it("equal the contract's request types without the ticket, because the client adds the ticket", () => {
    expectTypeOf<{ plan: PaidPlan }>().toEqualTypeOf<z.infer<typeof CheckoutRequest>>();
    expectTypeOf<ChatInput & { ticket: string }>().toExtend<WorkerInput>();
    expectTypeOf<Fields<TextInput & MessagesInput>>().toEqualTypeOf<Fields<Omit<WorkerInput, "ticket">>>();
  });

  it("equal the contract's types of stream items, but allow any string as a model's or provider's name", () => {
    expectTypeOf<StreamItem>().toExtend<ChatItem>();
    expectTypeOf<Exclude<RelayItem, ContractFailure>>().toExtend<ChatItem>();
    expectTypeOf<Exclude<ChatItem, ChatDone>>().toEqualTypeOf<Exclude<RelayItem, ContractDone | ContractFailure>>();
    expectTypeOf<ChatItem>().toEqualTypeOf<ChatDelta | ChatWaiting | ChatRestart | ChatDone>();
    expectTypeOf<Omit<ChatDone, OpenFields>>().branded.toEqualTypeOf<Omit<ContractDone, OpenFields>>();
    expectTypeOf<ChatDone["model"]>().toEqualTypeOf<ContractDone["model"]>();
    expectTypeOf<keyof ChatDone>().toEqualTypeOf<keyof ContractDone>();
  });
});

describe("The contract's schemas", () => {
  const session = sessionFor("http://localhost:4101");
  const free: PlanInfo = {
    user_id: "user-1",
    plan: "free",
    stripe_status: null,
    expires_at: null,
    updated_at: "2026-11-22T00:00:00Z",
    reason: "no_record",
    limits: session.limits,
  };
  const inGracePeriod: PlanInfo = {
    ...free,
    plan: "paid",
    stripe_status: "past_due",
    expires_at: "2026-11-29T00:00:00Z",
    reason: "grace",
    grace_until: "2026-11-29T00:00:00Z",
    cancel_at: "2026-12-22T00:00:00Z",
  };
  const redirect: Redirect = { url: "https://checkout.stripe.com/c/pay/cs_test_1" };

  it.each([
    ["session", SessionResponse, session],
    ["plan without a subscription", PlanResponse, free],
    ["plan in its grace period", PlanResponse, inGracePeriod],
    ["redirect", RedirectResponse, redirect],
    ["delta", StreamItem, { delta: "あら" } satisfies ChatItem],
    ["final stream item", StreamItem, doneItem("あら") satisfies ChatItem],
    ["delta over the relay", RelayItem, { delta: "あら" } satisfies ChatItem],
    ["waiting item", RelayItem, { waiting: true, message: "お待ちくださいね。" } satisfies ChatItem],
    ["restart item", RelayItem, { restart: true } satisfies ChatItem],
    ["final item over the relay", RelayItem, relayDone("あら") satisfies ChatItem],
  ])("accept the client's %s", (_, schema, answer) => {
    expect(schema.parse(answer)).toEqual(answer);
  });

  it.each<PaidPlan>(["paid", "vip"])("accept a checkout request for the plan %s", (plan) => {
    expect(CheckoutRequest.parse({ plan })).toEqual({ plan });
  });

  it.each<ChatInput>([
    { text: "こんばんは" },
    {
      messages: [{ role: "user", content: "こんばんは" }],
      params: { max_tokens: 64, seed: 1 },
      stream: false,
      request_id: "r1",
    },
  ])("accept the chat input %j with a ticket", (input) => {
    expect(WorkerInput.parse({ ...input, ticket: "t" })).toEqual({ ...input, ticket: "t" });
  });
});

describe("The client's error codes", () => {
  it("equal the contract's codes and their retryable flags", () => {
    expectTypeOf<ProblemCode>().toEqualTypeOf<ErrorCode>();
    expect(retryableByCode).toEqual(
      Object.fromEntries(Object.entries(errorCodes).map(([code, { retryable }]) => [code, retryable])),
    );
  });

  it.each(Object.keys(errorCodes) as ErrorCode[])("are read from an error body with the code %s", (code) => {
    const { body } = new ApiError(code);
    expect(problemFromBody(JSON.parse(JSON.stringify(body)))).toMatchObject(body.error);
  });
});
