import { models } from "../../contract/plan";
import {
  type AlarmGroup,
  alarmGroups,
  type CompositeAlarm,
  compositeAlarms,
  type MetricAlarm,
  metricAlarms,
} from "../../infra/alarms";
import { ConfigSchema } from "../../infra/configSchema";
import { alarmMeanings } from "./alarmMeanings";

const BEGIN = "<!-- Alarms: npm run docs:generate writes this part from infra/alarms.ts. -->";
const END = "<!-- End of the alarms. -->";

const titles: Record<AlarmGroup, string> = {
  customers: "Customers",
  money: "Money",
  api: "API",
  relay: "Relay",
  endpoints: "Endpoints",
  cost: "Cost",
  operations: "Operations",
};

const japaneseTitles: Record<AlarmGroup, string> = {
  customers: "お客様",
  money: "お金",
  api: "API",
  relay: "リレー",
  endpoints: "エンドポイント",
  cost: "費用",
  operations: "運用",
};

/**
 * Replaces the part of the runbook that describes the alarms.
 *
 * @param page text of docs/operations.md
 * @throws Error when the page has no such part
 */
export function withAlarms(page: string): string {
  return withPart(page, "docs/operations.md", alarmSections());
}

/**
 * Replaces the part of the Japanese runbook that lists the alarms.
 *
 * @param page text of docs/operations.ja.md
 * @throws Error when the page has no such part, or an alarm has no Japanese meaning
 */
export function withJapaneseAlarms(page: string): string {
  return withPart(page, "docs/operations.ja.md", japaneseLists());
}

function withPart(page: string, file: string, part: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${file} must have the lines ${BEGIN} and ${END}`);
  return `${before}${BEGIN}\n\n${part}\n${END}${after}`;
}

function alarmsOf(group: AlarmGroup): (MetricAlarm | CompositeAlarm)[] {
  const { hourlyUsd } = ConfigSchema.shape.operations.parse({});
  return [...compositeAlarms, ...metricAlarms({ hourlyUsd })].filter((alarm) => alarm.group === group);
}

/** One list per group of alarms. Each alarm links to its section in the English runbook. */
function japaneseLists(): string {
  return alarmGroups
    .map((group) => {
      const items = alarmsOf(group).map(
        ({ name, run }) =>
          `- [${name}](operations.md#${name.toLowerCase()}): ${japaneseMeaning(name)}最初のコマンド: \`${run}\``,
      );
      return `### ${japaneseTitles[group]}\n\n${items.join("\n")}\n`;
    })
    .join("\n");
}

/**
 * Returns the Japanese meaning of an alarm.
 *
 * @throws Error when verify/reference/alarmMeanings.ts has no meaning for the alarm
 */
function japaneseMeaning(name: string): string {
  const model = models.find((each) => name.startsWith(`${each}-`));
  const [, throttled] = /^(\w+)-throttled$/.exec(name) ?? [];
  const key = model ? name.replace(model, "<model>") : throttled ? name.replace(throttled, "<function>") : name;
  const meaning = alarmMeanings[key];
  if (meaning === undefined)
    throw new Error(`${key}: add a meaning for this alarm to verify/reference/alarmMeanings.ts`);
  return meaning.replace("<model>", model ?? "").replace("<function>", throttled ?? "");
}

/** One section per alarm, below a heading for each group. */
function alarmSections(): string {
  return alarmGroups
    .map((group) => {
      const sections = alarmsOf(group).map(section);
      return `### ${titles[group]}\n\n${sections.join("\n")}`;
    })
    .join("\n");
}

function section(alarm: MetricAlarm | CompositeAlarm): string {
  const lines = [
    `#### ${alarm.name}`,
    "",
    alarm.means,
    "",
    `- First command: \`${alarm.run}\``,
    ...("metric" in alarm
      ? metricLines(alarm)
      : [`- Fires when ${ruleOf(alarm)}. It pages. It also sends a message when it recovers.`]),
    "",
  ];
  return lines.join("\n");
}

function metricLines(alarm: MetricAlarm): string[] {
  return [
    `- Fires when ${conditionOf(alarm)}.`,
    `- Without data: ${withoutData[alarm.missing.as]}, because ${alarm.missing.because}.`,
    ...(alarm.isPart ? ["- Sends no message: it is a part of `customers-cannot-chat`."] : []),
    ...(alarm.needsEcr ? ["- Exists only with `registry.kind: ecr`."] : []),
  ];
}

const withoutData = {
  notBreaching: "does not fire",
  missing: "sends its message with the state INSUFFICIENT_DATA, but not before the first data of a new stack",
} as const;

const comparisons = { above: "is above", atLeast: "is at least", below: "is below" } as const;

function conditionOf({ metric, statistic, comparison, threshold, periods, periodSeconds }: MetricAlarm): string {
  const minutes = periodSeconds / 60;
  const span = periods === 1 ? `${minutes} min` : `each of ${periods} × ${minutes} min`;
  return `${statistic} of \`${metricName(metric)}\` ${comparisons[comparison]} ${threshold} in ${span}`;
}

function metricName(metric: MetricAlarm["metric"]): string {
  switch (metric.of) {
    case "stack":
      return metric.model ? `${metric.name} ${metric.model}` : metric.name;
    case "code":
      return `Alarms ${metric.code}`;
    case "function":
      return `AWS/Lambda ${metric.name} ${metric.function}`;
    case "api":
      return `AWS/ApiGateway ${metric.name}`;
    case "failedRuns":
      return `AWS/SQS ${metric.name}`;
  }
}

function ruleOf({ anyOf }: CompositeAlarm): string {
  return anyOf.map((names) => names.map((name) => `\`${name}\``).join(" and ")).join(", or ");
}
