import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

/** Tests that start no server and no process: `npm run check` runs them. tests/noServers.ts enforces it. */
const unitTests = [
  "tests/client/contractTypes.test.ts",
  "tests/contract/generatedFiles.test.ts",
  "tests/docs/*.test.ts",
  "tests/functions/{entitlement,http,stripeClient,stripeEvent,ticket}.test.ts",
  "tests/functions/relay/{attempts,cooldown,deadlines,mama,route,spend,usage}.test.ts",
  "tests/images/*.test.ts",
  "tests/local/cognito/store.test.ts",
  "tests/local/commands/previewTable.test.ts",
  "tests/ops/doctor/{account,workers}.test.ts",
  "tests/program/config.test.ts",
  "tests/runpod/{error,records}.test.ts",
  "tests/runner/selection.test.ts",
  "tests/stripe/connection.test.ts",
  "tests/verify/{bench/budgetTable,chaos/virtualTime,structure/structure}.test.ts",
];

/** Tests that share one local cloud per process, by tests/sharedCloud.ts. */
const cloudTests = [
  "tests/billing/checkout.test.ts",
  "tests/ops/doctor/command.test.ts",
  "tests/system/{billing,flow}.test.ts",
];

// Only vitest's own output has colors: the tests compare output without.
delete process.env.FORCE_COLOR;

export default defineConfig({
  test: {
    // Only ends a test that hangs: a busy machine may take several times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    env: {
      // Child processes of the tests start faster with the compiled code of earlier ones.
      NODE_COMPILE_CACHE: resolve(".build/cache/node"),
    },
    // Two cores carry the whole suite, and several files start servers and processes.
    maxWorkers: 2,
    pool: "forks",
    projects: [
      { extends: true, test: { name: "unit", include: unitTests, setupFiles: ["tests/noServers.ts"] } },
      { extends: true, test: { name: "cloud", include: cloudTests, isolate: false } },
      {
        extends: true,
        test: { name: "system", include: ["tests/**/*.test.ts"], exclude: [...unitTests, ...cloudTests] },
      },
    ],
  },
});
