/**
 * Test files that together use every permission of every function and schedule. `npm test` runs all test files, so this
 * list is only for a faster comparison.
 */
export const suites = [
  "tests/billing/checkout.test.ts",
  "tests/ops/doctor/command.test.ts",
  "tests/system/billing.test.ts",
  "tests/system/canary.test.ts",
  "tests/system/flow.test.ts",
  "tests/system/operations.test.ts",
  "tests/system/rarePaths.test.ts",
  "tests/system/relay.test.ts",
];
