import { command, run } from "../../cli/command";
import { clearReports } from "./reports";
import { printSummary, runLanes, summarise } from "./steps";
import { lintStep, typesStep, unusedStep, vitestStep } from "./suite";

const program = command(
  "check",
  "Checks types, lint, unused code, the structure and the unit tests, in under a minute. The unit tests start no server.",
)
  .addHelpText("after", "\nvitest.config.mts lists the unit tests. With --json it prints {seconds, passed, failed}.")
  .action(async ({ json }: { json?: boolean }) => {
    clearReports();
    const unitTests = vitestStep("unit tests and structure", ["--project", "unit"]);
    const lanes = [[typesStep], [lintStep, unusedStep, unitTests]];
    const summary = summarise(await runLanes(lanes, "failures", json));
    const { seconds, passed, failed } = summary;
    if (json) {
      console.log(JSON.stringify({ seconds, passed, failed }));
    } else {
      printSummary(summary);
    }
    process.exitCode = failed > 0 ? 1 : 0;
  });

void run(program);
