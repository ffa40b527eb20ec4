import { resolve } from "node:path";
import { defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

/** Tests that `npm run check` runs. They start no server and no process. tests/noServers.ts enforces this rule. */
const unitTests = [
  "tests/client/{contractTypes,sse}.test.ts",
  "tests/contract/generatedFiles.test.ts",
  "tests/docs/*.test.ts",
  "tests/functions/{alarmCodes,alarms,entitlement,household,http,session,stripeClient,stripeEvent,ticket}.test.ts",
  "tests/functions/relay/{attempts,cooldown,deadlines,inferenceProfile,mama,request,route,spend,usage}.test.ts",
  "tests/images/*.test.ts",
  "tests/local/aws/cloudwatch/alarmState.test.ts",
  "tests/local/cognito/store.test.ts",
  "tests/local/commands/previewTable.test.ts",
  "tests/ops/doctor/{account,workers}.test.ts",
  "tests/ops/rollout/{candidateFile,stackFile}.test.ts",
  "tests/policy/rules.test.ts",
  "tests/program/config.test.ts",
  "tests/runpod/{error,records}.test.ts",
  "tests/runner/selection.test.ts",
  "tests/stripe/connection.test.ts",
  "tests/workflows/rules.test.ts",
  "tests/training/fixtureResults.test.ts",
  "tests/verify/{bench/budgetTable,chaos/virtualTime,structure/structure}.test.ts",
];

/**
 * Tests that share one local cloud per process. tests/suiteCloud.ts starts this cloud. Not here: tests that need a cloud
 * in which no other test has caused a failed run or an alarm.
 */
const cloudTests = [
  "tests/billing/checkout.test.ts",
  "tests/ops/privileges/calls.test.ts",
  "tests/system/{billing,flow,operations,relay}.test.ts",
];

// The tests compare output without colors. Only vitest's own output may have colors.
delete process.env.FORCE_COLOR;

export default defineConfig({
  // Without the first condition, Vite would take the client's built files, which may be older than its source. Node cannot
  // load the bundler's files of packages, such as the AWS SDK's, which the condition `module` names.
  ssr: {
    resolve: {
      conditions: ["snack-misaki-source", ...defaultServerConditions.filter((condition) => condition !== "module")],
    },
  },
  test: {
    // These limits only end tests that hang. A busy machine can need several times as long as an idle machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    env: {
      // Child processes of the tests start faster with the compiled code of earlier child processes.
      NODE_COMPILE_CACHE: resolve(".build/cache/node"),
    },
    // The suite must run on two cores, and several test files also start servers and processes.
    maxWorkers: 2,
    pool: "forks",
    projects: [
      { extends: true, test: { name: "unit", include: unitTests, setupFiles: ["tests/noServers.ts"] } },
      {
        extends: true,
        test: { name: "cloud", include: cloudTests, isolate: false, setupFiles: ["tests/documentedAnswers.ts"] },
      },
      {
        extends: true,
        test: { name: "system", include: ["tests/**/*.test.ts"], exclude: [...unitTests, ...cloudTests] },
      },
    ],
  },
});
