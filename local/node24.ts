/** The Lambdas' runtime is Node 24 and so is everything here. npm brings it where it can; elsewhere this asks for it. */
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  console.error(
    `Node 24 is needed; this is ${process.version}, and npm has no Node 24 for ${process.platform}-${process.arch}.`,
  );
  console.error("Install it from https://nodejs.org, then run npm ci again.");
  process.exit(1);
}
