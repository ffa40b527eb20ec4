import { afterAll, beforeAll, beforeEach, describe, vi } from "vitest";
import { testCanaryStates } from "./canaryStates";
import { testCheckoutAttempts } from "./checkoutAttempts";
import { testCooldowns } from "./cooldowns";
import { engines } from "./engines";
import { testEventLog } from "./eventLog";
import { testKeepAlives } from "./keepAlives";
import { testRateLimits } from "./rateLimits";
import { testReplyCounts } from "./replyCounts";
import { testSpend } from "./spend";
import { testSync } from "./sync";
import { type Database, openDatabase, type Tables } from "./tables";
import { testUsage } from "./usage";
import { testUserRows } from "./userRows";
import { testUsers } from "./users";

// These tests check results, not times. The timeouts are long, because a call can take seconds on a busy machine. The
// SDK makes only one attempt, because a retried call would count twice.
vi.mock("../../functions/lib/dependency", async (original) => ({
  ...(await original<object>()),
  awsClientLimits: { maxAttempts: 1, requestHandler: { connectionTimeout: 60_000, requestTimeout: 60_000 } },
}));

/** Longer than the timeouts for the download and for the start of DynamoDB Local together. */
const START_TIMEOUT_MS = 400_000;

for (const engine of engines) {
  // Tests all table code with the tables of infra/data.ts, through the real AWS SDK.
  describe(`on ${engine.name}`, engine.needed, () => {
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
    describe("user row", () => testUserRows(current));
    describe("createUsers", () => testUsers(current));
    describe("rate counter", () => testRateLimits(current));
    describe("checkout attempt", () => testCheckoutAttempts(current));
    describe("event log", () => testEventLog(current));
    describe("usage", () => testUsage(current));
    describe("spend", () => testSpend(current));
    describe("cooldown", () => testCooldowns(current));
    describe("keep-alive job", () => testKeepAlives(current));
    describe("reply counts", () => testReplyCounts(current));
    describe("state of a candidate", () => testCanaryStates(current));
    describe("syncCustomer", () => testSync(current));
  });
}
