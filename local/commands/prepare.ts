import { buildBundles } from "../../infra/bundle";

// npm runs this file after `npm ci`, because `pulumi destroy` needs the bundles of the dynamic providers. That command
// does not run the program, which would build them.
buildBundles();
