import Table from "cli-table3";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { SimulatedTimers } from "../../local/aws/support/timers";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { type DrillResult, runDrill } from "./run";
import { drillConfig, Stage } from "./stage";

interface Options {
  json?: boolean;
  only?: string;
}

const program = command(
  "drill",
  "Fires every alarm: causes its fault in a local cloud, with simulated minutes, and checks its message and its recovery.",
)
  .option("--only <alarms>", "names of alarms, separated by commas (default: all)")
  .addHelpText(
    "after",
    `
The names of the alarms are the headings in docs/operations.md.
The exit status is 1 when an alarm did not fire, or did not recover.`,
  )
  .action(async ({ json, only }: Options) => {
    const say = (line: string) => void (json || console.error(pc.dim(line)));
    const result = await drill({ only: only?.split(","), say });
    console.log(json ? JSON.stringify(result) : report(result));
    if (result.missing.length > 0) process.exitCode = 1;
  });

void run(program);

/** Runs the drill in a new local cloud. */
async function drill({ only, say }: { only: string[] | undefined; say: (line: string) => void }): Promise<DrillResult> {
  const timers = new SimulatedTimers();
  return inTemporaryCloud(
    { engine: "scripted", withoutPython: true, timers, config: drillConfig, progress: say },
    (cloud, outputs) => runDrill(new Stage(cloud, outputs, timers), { only, say }),
  );
}

function report({ alarms, fired, recovered, missing, results }: DrillResult): string {
  const table = new Table({ head: ["alarm", "fired after", "recovered after", "by"], style: { head: [] } });
  const minutes = (count: number | undefined) => (count === undefined ? pc.red("never") : `${count} min`);
  for (const { alarm, firedAfterMinutes, recoveredAfterMinutes, by } of results) {
    table.push([alarm, minutes(firedAfterMinutes), minutes(recoveredAfterMinutes), by]);
  }
  const problems = missing.map(({ alarm, problem }) => pc.red(`${alarm}: ${problem}`));
  return [table.toString(), ...problems, `${fired} of ${alarms} alarms fired, ${recovered} recovered`].join("\n");
}
