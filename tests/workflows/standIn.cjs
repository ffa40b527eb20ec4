// A stand-in for a program that needs an account: `node standIn.cjs <program> [arguments]`. It records its arguments, refuses
// every option that the real program does not have, and answers as the real program does.
"use strict";

const { appendFileSync, existsSync, readFileSync, writeFileSync } = require("node:fs");

const { STAND_IN_CALLS, STAND_IN_OUTPUTS = "{}" } = process.env;
const [program, ...args] = process.argv.slice(2);

/** The accepted commands: their words, then their options. `value` is an option with a value, `list` one that repeats. */
const commands = {
  pulumi: {
    preview: { "--stack": "value", "--diff": "flag", "--non-interactive": "flag", "--policy-pack": "value" },
    up: { "--stack": "value", "--yes": "flag", "--non-interactive": "flag", "--policy-pack": "value" },
    "stack output": { "--stack": "value" },
  },
  docker: {
    info: {},
    login: { "--username": "value", "--password-stdin": "flag" },
    build: {
      "--provenance": "value",
      "--sbom": "value",
      "--push": "flag",
      "--metadata-file": "value",
      "--platform": "value",
      "--tag": "value",
      "--build-arg": "list",
      "--secret": "list",
      "--file": "value",
    },
  },
  gh: {
    "auth setup-git": {},
    "pr create": { "--head": "value", "--title": "value", "--body": "value" },
  },
  npm: { ci: { "--no-audit": "flag", "--no-fund": "flag" } },
  sudo: { bash: { "--preserve-env": "value" } },
};

const { name, options, rest } = parse();
appendFileSync(STAND_IN_CALLS, `${JSON.stringify({ program, name, options, rest })}\n`);

const answers = {
  "pulumi preview": () => {
    needs(process.env.PULUMI_BACKEND_URL, "no backend: run pulumi login");
    stackFile();
    policyPack();
  },
  "pulumi up": () => {
    needs(process.env.PULUMI_BACKEND_URL, "no backend: run pulumi login");
    needs(options["--yes"], "--yes must be passed in to proceed when running in non-interactive mode");
    stackFile();
    policyPack();
  },
  "pulumi stack output": () => {
    const value = JSON.parse(STAND_IN_OUTPUTS)[rest[0]];
    needs(value, `current stack does not have output property '${rest[0]}'`);
    console.log(typeof value === "string" ? value : JSON.stringify(value));
  },
  "docker info": () => {},
  "docker login": () => needs(options["--password-stdin"] && readFileSync(0, "utf8").trim(), "no password on stdin"),
  "docker build": () => {
    needs(existsSync(options["--file"]) && existsSync(rest[0]), "failed to read dockerfile");
    if (options["--push"])
      writeFileSync(
        options["--metadata-file"],
        JSON.stringify({ "containerimage.digest": `sha256:${"d".repeat(64)}` }),
      );
    console.log("#1 pushing layers");
  },
  "gh auth setup-git": () => needs(process.env.GH_TOKEN, "You are not logged into any GitHub hosts"),
  "gh pr create": () => {
    needs(process.env.GH_TOKEN, "To get started with GitHub CLI, please run: gh auth login");
    for (const flag of ["--head", "--title", "--body"]) needs(options[flag], `must provide ${flag}`);
    console.log("https://github.test/example/snack-misaki/pull/7");
  },
  "npm ci": () => needs(existsSync("package-lock.json"), "npm ci needs a package-lock.json"),
  "sudo bash": () => needs(rest.length === 1 && existsSync(rest[0]), `bash: ${rest[0]}: No such file or directory`),
};
answers[`${program} ${name}`]();

function parse() {
  const known = commands[program] ?? fail(`${program}: command not found`);
  // sudo has its own options before the command.
  const words = program === "sudo" ? ["bash"] : args;
  const name = Object.keys(known).find((each) => each.split(" ").every((word, index) => words[index] === word));
  if (name === undefined) fail(`unknown command "${args.slice(0, 2).join(" ")}" for "${program}"`);
  const given = program === "sudo" ? args.filter((arg) => arg !== "bash") : args.slice(name.split(" ").length);
  const options = {};
  const rest = [];
  for (let index = 0; index < given.length; index++) {
    const [flag, inline] = given[index].startsWith("--") ? given[index].split(/=(.*)/s) : [];
    if (flag === undefined) {
      rest.push(given[index]);
      continue;
    }
    const kind = known[name][flag] ?? fail(`unknown flag: ${flag}`);
    const value = kind === "flag" ? true : (inline ?? given[++index] ?? fail(`flag needs an argument: ${flag}`));
    options[flag] = kind === "list" ? [...(options[flag] ?? []), value] : value;
  }
  return { name, options, rest };
}

function stackFile() {
  const file = `Pulumi.${options["--stack"]}.yaml`;
  return needs(existsSync(file), `no stack named '${options["--stack"]}' found`);
}

function policyPack() {
  const folder = options["--policy-pack"];
  needs(!folder || existsSync(`${folder}/PulumiPolicy.yaml`), `could not find PulumiPolicy.yaml in ${folder}`);
}

function needs(value, message) {
  return value || fail(message);
}

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}
