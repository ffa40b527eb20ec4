// A program on the PATH that a test answers: `node forward.cjs <program> [arguments]`. Sends the arguments to the test's server,
// prints its answer, and exits with its status.
"use strict";

const [program, ...args] = process.argv.slice(2);

async function forward() {
  const body = JSON.stringify({ program, args, cwd: process.cwd() });
  const response = await fetch(process.env.STAND_IN_URL, { method: "POST", body });
  const { out, err, status } = await response.json();
  process.stdout.write(out);
  process.stderr.write(err);
  process.exitCode = status;
}

void forward();
