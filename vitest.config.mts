import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    // Only ends what hangs: a busy machine may take several times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores carry the whole suite, and several files start real servers and processes.
    maxWorkers: 2,
    pool: "forks",
  },
});
