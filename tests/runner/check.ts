import { command, run } from "../../cli/command";
import { clearReports, countVitest, vitestReport } from "./reports";
import { printSummary, runLanes, type Step, summarise } from "./steps";

const types: Step = { name: "types", command: ["npm", "run", "--silent", "typecheck"] };
const others: Step[] = [
  { name: "lint and format", command: ["biome", "ci", "--error-on-warnings", "."] },
  { name: "unused code", command: ["knip"] },
  {
    name: "unit tests and structure",
    command: [
      ...["vitest", "run", "--project", "unit", "--reporter=default"],
      ...["--reporter=json", `--outputFile.json=${vitestReport}`],
    ],
    readReport: countVitest,
  },
];

const program = command(
  "check",
  "Checks types, lint, unused code, the structure and the unit tests, in under a minute. The unit tests start no server.",
)
  .addHelpText("after", "\nvitest.config.mts lists the unit tests. With --json it prints {seconds, passed, failed}.")
  .action(async ({ json }: { json?: boolean }) => {
    clearReports();
    const summary = summarise(await runLanes([[types], others], "failures", json));
    const { seconds, passed, failed } = summary;
    if (json) {
      console.log(JSON.stringify({ seconds, passed, failed }));
    } else {
      printSummary(summary);
    }
    process.exitCode = failed > 0 ? 1 : 0;
  });

void run(program);
