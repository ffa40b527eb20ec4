import { expect, it } from "vitest";
import { judgeTables, type TableFacts } from "../../../../ops/doctor/aws/tables";

const users: TableFacts = { name: "users-1", key: "user_id", status: "ACTIVE", isProtected: true, canRecover: true };
const ephemeral: TableFacts = { ...users, name: "ephemeral-1", key: "pk", isProtected: false, canRecover: false };

it("judgeTables accepts two active tables when only the users table is protected", () => {
  const checks = judgeTables([ephemeral, users], true);
  expect(checks.map(({ name, status }) => [name, status])).toEqual([
    ["users table", "ok"],
    ["ephemeral table", "ok"],
  ]);
});

it.each([
  ["missing", [ephemeral], "failed", /no such table/, /^Restore it from a backup first: docs\/operations\.md/],
  ["being deleted", [{ ...users, status: "DELETING" }], "failed", /status DELETING/, /DynamoDB's console/],
  [
    "without access to its key",
    [{ ...users, status: "INACCESSIBLE_ENCRYPTION_CREDENTIALS" }],
    "failed",
    /INACCESSIBLE/,
    /access to its key/,
  ],
  ["being changed", [{ ...users, status: "UPDATING" }], "warning", /being changed/, /Check again/],
  [
    "without point-in-time recovery",
    [{ ...users, canRecover: false }],
    "warning",
    /no point-in-time/,
    /pulumi up --ref/,
  ],
  [
    "without deletion protection",
    [{ ...users, isProtected: false }],
    "warning",
    /is off, configured on/,
    /pulumi up --r/,
  ],
] as const)("judgeTables reports a users table %s", (_what, tables, status, seen, todo) => {
  const [check] = judgeTables([...tables], true);
  expect(check).toEqual({
    name: "users table",
    status,
    seen: expect.stringMatching(seen),
    todo: expect.stringMatching(todo),
  });
});
