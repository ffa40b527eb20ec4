import { expect, it } from "vitest";
import { type FunctionFacts, judgeFunctions } from "../../../../ops/doctor/aws/functions";

const now = new Date("2026-11-27T12:00:00Z");
const healthy: FunctionFacts = {
  name: "snack-misaki-dev-session-0123abc",
  label: "session",
  state: "Active",
  update: "Successful",
  logGroup: "session-log",
  errors: 0,
  lastError: undefined,
  recent: { count: 0, isMore: false, last: undefined },
};

it("judgeFunctions accepts functions without failed invocations", () => {
  expect(judgeFunctions([healthy, healthy], now)).toEqual([
    {
      name: "functions",
      status: "ok",
      seen: expect.stringMatching(/^2 functions, no failed .* no error line/),
      todo: "",
    },
  ]);
});

it("judgeFunctions reports the number of failures, the newest error and the command that shows the log", () => {
  const lastError = { at: new Date("2026-11-27T11:42:00Z"), text: "TypeError: x is not a function" };
  expect(judgeFunctions([healthy, { ...healthy, errors: 3, lastError }], now)).toEqual([
    {
      name: "function session",
      status: "warning",
      seen: "failed 3 times in 24 hours. The last one, 18 minutes ago: TypeError: x is not a function",
      todo: expect.stringContaining("aws logs tail session-log --since 1d"),
    },
  ]);
});

it("judgeFunctions reports the error lines of a function that answers with errors and does not fail", () => {
  const last = { at: new Date("2026-11-27T11:58:00Z"), text: '{"code":"unavailable","cause":"Stripe: 401"}' };
  expect(judgeFunctions([{ ...healthy, recent: { count: 7, isMore: true, last } }], now)).toEqual([
    {
      name: "function session",
      status: "warning",
      seen: 'wrote more than 7 error lines in 15 minutes. The last one, 2 minutes ago: {"code":"unavailable","cause":"Stripe: 401"}',
      todo: expect.stringContaining("aws logs tail session-log"),
    },
  ]);
});

it.each([
  ["that cannot run", { state: "Failed" }, "failed", /state is Failed/],
  ["whose update has failed", { update: "Failed" }, "failed", /last update Failed/],
  ["that Lambda is updating", { update: "InProgress" }, "warning", /is updating it/],
  ["that failed once without a line in its log", { errors: 1 }, "warning", /^failed once in 24 hours$/],
] as const)("judgeFunctions reports a function %s", (_what, change, status, seen) => {
  const [check] = judgeFunctions([{ ...healthy, ...change }], now);
  expect(check).toMatchObject({ name: "function session", status, seen: expect.stringMatching(seen) });
});

it("judgeFunctions reports a stack without functions", () => {
  expect(judgeFunctions([], now)).toMatchObject([{ name: "functions", status: "failed" }]);
});
