import {
  type AlarmType,
  CloudWatchClient,
  type CompositeAlarm,
  type MetricAlarm,
  paginateDescribeAlarms,
} from "@aws-sdk/client-cloudwatch";
import { type AlarmSettings, compositeAlarms, metricAlarms, PAGE_PREFIX } from "../../../infra/alarms";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { logicalName } from "./stackResources";

/** Alarms that DescribeAlarms takes at once. */
const MAX_NAMES = 100;

/** Time after which every alarm that needs data has data. A new schedule runs immediately, and CloudWatch has a delay. */
const FIRST_DATA_MS = 15 * 60_000;

/** Facts about one alarm. */
export interface AlarmFacts {
  /** Logical name. */
  name: string;
  state: string;
  description: string;
  /** Whether it sends a message. The alarms that only take part in a composite alarm send none. */
  hasActions: boolean;
  areActionsOn: boolean;
  /** Whether it also sends a message when it gets no data. */
  needsData: boolean;
  /** Milliseconds since the alarm was created or changed. */
  ageMs: number;
}

/**
 * Checks that every alarm of the program exists, and reports the alarms that fire now.
 *
 * @param expected logical names of the alarms
 */
export function judgeAlarms(alarms: AlarmFacts[], expected: string[]): Check[] {
  const label = "alarms";
  const missing = expected.filter((name) => !alarms.some((alarm) => alarm.name === name));
  const muted = alarms.filter(({ hasActions, areActionsOn }) => hasActions && !areActionsOn);
  const firing = alarms.filter((alarm) => alarm.hasActions && (alarm.state === "ALARM" || isSilent(alarm)));
  const lines = firing.map((alarm) => {
    const { name, description } = alarm;
    const [meaning = "", todo = ""] = description.replace(PAGE_PREFIX, "").split(" First: ");
    const report = description.startsWith(PAGE_PREFIX) ? failed : warning;
    const seen = `${isSilent(alarm) ? "gets no data" : "fires now"}: ${meaning}`;
    return report(`alarm ${name}`, seen, todo || "Look at the alarm in CloudWatch's console.");
  });
  if (missing.length > 0)
    lines.push(failed(label, `AWS does not have ${missing.join(", ")}`, 'Run "pulumi refresh", then "pulumi up".'));
  if (muted.length > 0) {
    const seen = `somebody turned off the messages of ${muted.map(({ name }) => name).join(", ")}`;
    lines.push(warning(label, seen, 'Run "pulumi up --refresh".'));
  }
  if (lines.length > 0) return lines;
  const waiting = alarms.filter(({ state }) => state === "INSUFFICIENT_DATA").length;
  return [ok(label, `${alarms.length} alarms, none fires${waiting > 0 ? `; ${waiting} have no data yet` : ""}`)];
}

/** Whether an alarm that needs data gets none. A new alarm has no data yet. */
function isSilent({ needsData, state, ageMs }: AlarmFacts): boolean {
  return needsData && state === "INSUFFICIENT_DATA" && ageMs > FIRST_DATA_MS;
}

/** Reads the state of the stack's alarms. */
export async function checkAlarms(
  names: string[],
  { stack, settings, needsEcr }: { stack: string; settings: AlarmSettings; needsEcr: boolean },
  aws: Aws,
  now = Date.now(),
): Promise<Check[]> {
  const client = new CloudWatchClient(awsClient("inspection", aws));
  const chunks = Array.from({ length: Math.ceil(names.length / MAX_NAMES) }, (_, index) =>
    names.slice(index * MAX_NAMES, (index + 1) * MAX_NAMES),
  );
  const read = await Promise.all(
    chunks.map(async (AlarmNames) => {
      const found: (MetricAlarm | CompositeAlarm)[] = [];
      const types: AlarmType[] = ["MetricAlarm", "CompositeAlarm"];
      // A page has fewer alarms than the request may name.
      for await (const page of paginateDescribeAlarms({ client }, { AlarmNames, AlarmTypes: types }))
        found.push(...(page.MetricAlarms ?? []), ...(page.CompositeAlarms ?? []));
      return found;
    }),
  );
  const alarms = read.flat().map(
    (alarm): AlarmFacts => ({
      name: logicalName(alarm.AlarmName ?? "", stack),
      state: alarm.StateValue ?? "",
      description: alarm.AlarmDescription ?? "",
      hasActions: (alarm.AlarmActions ?? []).length > 0,
      areActionsOn: alarm.ActionsEnabled !== false,
      needsData: (alarm.InsufficientDataActions ?? []).length > 0,
      ageMs: now - (alarm.AlarmConfigurationUpdatedTimestamp?.getTime() ?? 0),
    }),
  );
  const expected = [...metricAlarms(settings).filter((alarm) => needsEcr || !alarm.needsEcr), ...compositeAlarms];
  return judgeAlarms(
    alarms,
    expected.map(({ name }) => name),
  );
}
