import { afterAll, beforeAll, beforeEach, describe, vi } from "vitest";
import { testCheckoutAttempts } from "./checkoutAttempts";
import { testCounters } from "./counters";
import { engines } from "./engines";
import { testEventLog } from "./eventLog";
import { testSync } from "./sync";
import { type Database, openDatabase, type Tables } from "./tables";
import { testUserRows } from "./userRows";
import { testUsers } from "./users";

// What the tables do, not how long they take: on a busy machine a call may wait for seconds, and a call that is sent again
// counts twice.
vi.mock("../../functions/lib/dependency", async (original) => ({
  ...(await original<object>()),
  awsClientLimits: { maxAttempts: 1, requestHandler: { connectionTimeout: 60_000, requestTimeout: 60_000 } },
}));

/** The fetch of an engine has a limit of its own. */
const START_TIMEOUT_MS = 400_000;

for (const engine of engines) {
  // Everything that touches a table, with the tables of infra/data.ts and nothing but the AWS SDK in between.
  describe.skipIf(engine.isMissing)(`on ${engine.name}`, () => {
    let database: Database | undefined;
    let tables: Tables;
    beforeAll(async () => {
      database = await openDatabase(engine);
    }, START_TIMEOUT_MS);
    beforeEach(async () => {
      if (!database) throw new Error(`${engine.name} is not running`);
      tables = await database.make();
    });
    afterAll(() => database?.close());

    const current = () => tables;
    describe("a user's row", () => testUserRows(current));
    describe("reading a user", () => testUsers(current));
    describe("a rate counter", () => testCounters(current));
    describe("a checkout attempt", () => testCheckoutAttempts(current));
    describe("the event log", () => testEventLog(current));
    describe("the sync", () => testSync(current));
  });
}
