import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createAlarms } from "../../functions/lib/alarms";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("writes the same alarm at most once a minute", () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const alarm = createAlarms();
  alarm("vip_spend_ceiling");
  vi.advanceTimersByTime(59_000);
  alarm("vip_spend_ceiling");
  alarm("relay_provider", { provider: "openai" });
  expect(log.mock.calls).toEqual([[{ alarm: "vip_spend_ceiling" }], [{ alarm: "relay_provider", provider: "openai" }]]);
  vi.advanceTimersByTime(1_000);
  alarm("vip_spend_ceiling");
  expect(log).toHaveBeenCalledTimes(3);
});
