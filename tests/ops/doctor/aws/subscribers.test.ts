import { expect, it } from "vitest";
import { judgeSubscribers, type Subscriber } from "../../../../ops/doctor/aws/subscribers";

const mail = (endpoint: string, isConfirmed = true): Subscriber => ({ protocol: "email", endpoint, isConfirmed });
const hook: Subscriber = { protocol: "https", endpoint: "https://pager.example/CANARY", isConfirmed: true };

it("judgeSubscribers accepts confirmed subscribers, and hides the URL of a webhook", () => {
  expect(judgeSubscribers([mail("a@example.com"), hook], ["a@example.com"])).toEqual({
    name: "alarm subscribers",
    status: "ok",
    seen: "a@example.com, the https webhook",
    todo: "",
  });
});

it.each([
  ["a missing topic", undefined, [], "failed", /no topic/],
  ["an empty topic", [], [], "warning", /^nobody gets the alarms$/],
  [
    "a subscriber who has not confirmed",
    [mail("a@x.jp"), mail("b@x.jp", false)],
    ["a@x.jp"],
    "warning",
    /^b@x.jp has not confirmed$/,
  ],
  [
    "that nobody has confirmed",
    [mail("a@x.jp", false)],
    ["a@x.jp"],
    "failed",
    /has not confirmed: nobody gets the alarms$/,
  ],
  ["a configured address that has unsubscribed", [hook], ["a@x.jp"], "warning", /^a@x.jp has unsubscribed$/],
] as const)("judgeSubscribers reports %s", (_what, subscribers, emails, status, seen) => {
  const check = judgeSubscribers(subscribers && [...subscribers], [...emails]);
  expect(check).toMatchObject({ status, seen: expect.stringMatching(seen), todo: expect.stringMatching(/\w/) });
});
