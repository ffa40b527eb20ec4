import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores carry the whole suite, and several files start real servers and processes.
    maxWorkers: 2,
    pool: "forks",
  },
});
