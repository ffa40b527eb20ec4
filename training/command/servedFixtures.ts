// Program of the training image: `node servedFixtures.cjs <model> <engine URL> <tokenizer.json> <Python> <output>`.
// `npm run images:build -- training` bundles this file with its packages.
import { writeFileSync } from "node:fs";
import { Model } from "../../contract/plan";
import { sendFixtures } from "./sendFixtures";

const [model, engineUrl = "", tokenizer = "", python = "", output = ""] = process.argv.slice(2);
const served = { model: Model.parse(model), engineUrl, tokenizer, python };
sendFixtures(served).then(
  (fixtures) => writeFileSync(output, JSON.stringify(fixtures)),
  (error: Error) => {
    console.error(error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message);
    process.exitCode = 1;
  },
);
