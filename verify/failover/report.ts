import Table from "cli-table3";
import pc from "picocolors";
import type { FailoverResult, ScenarioResult } from "./run";
import { scenarios } from "./scenarios";

/**
 * Renders one line per scenario with the outcome at every provider. The details of the failed scenarios and the totals
 * follow.
 */
export function reportLines(result: FailoverResult): string[] {
  const providers = [...new Set(result.scenarios.map(({ provider }) => provider))];
  const table = new Table({ head: ["scenario", "", ...providers], style: { head: [], border: [] } });
  for (const { id, title } of scenarios) {
    const cells = providers.map((provider) => find(result, id, provider));
    if (cells.some(Boolean)) table.push([id, title, ...cells.map((cell) => (cell ? mark(cell) : ""))]);
  }
  const failures = result.scenarios.filter(({ passed }) => !passed);
  return [
    table.toString(),
    ...failures.map(({ id, provider, detail }) => pc.red(`${id} ${provider}: ${detail}`)),
    ...providers.map((provider) => total(result, provider)),
  ];
}

/** Renders one progress line for a scenario. */
export function resultLine({ id, provider, passed, detail }: ScenarioResult): string {
  return `${passed ? pc.green("passed") : pc.red("failed")} ${id} ${provider}: ${detail}`;
}

function find(result: FailoverResult, id: string, provider: string): ScenarioResult | undefined {
  return result.scenarios.find((one) => one.id === id && one.provider === provider);
}

function mark({ passed }: ScenarioResult): string {
  return passed ? pc.green("passed") : pc.red("failed");
}

function total({ scenarios }: FailoverResult, provider: string): string {
  const own = scenarios.filter((one) => one.provider === provider);
  return `${provider}: ${own.filter(({ passed }) => passed).length} of ${own.length} passed`;
}
