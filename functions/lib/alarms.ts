import type { AlarmCode } from "../core/alarmCodes";

/** Writes an alarm to the log. `detail` must contain no personal data and no secret. */
export type RaiseAlarm = (alarm: AlarmCode, detail?: Record<string, unknown>) => void;

/** Writes an alarm to the log. A metric filter counts these lines by their code. */
export const raiseAlarm: RaiseAlarm = (alarm, detail = {}) => console.error({ alarm, ...detail });

const REPEAT_AFTER_MS = 60_000;

/** Creates a function that writes the same alarm at most once a minute per container. */
export function createAlarms(): RaiseAlarm {
  const raisedAt = new Map<string, number>();
  return (alarm, detail = {}) => {
    const key = JSON.stringify([alarm, detail]);
    const now = Date.now();
    if (now - (raisedAt.get(key) ?? 0) < REPEAT_AFTER_MS) return;
    raisedAt.set(key, now);
    raiseAlarm(alarm, detail);
  };
}
